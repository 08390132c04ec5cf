"""The form of the answer, as requests ask for it."""

from dataclasses import dataclass

from api.answer_schemas import read_schema
from api.chat_schemas import ChatBody, JsonSchemaFormat, StructuredOutputs
from contracts.answer_forms import ANY_OBJECT, AnswerForm, ChoiceForm, JsonForm
from contracts.errors import (
    ConflictingParameters,
    RequestError,
    UnsupportedParameter,
    UnsupportedValue,
)

MAX_CHOICES_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class AskedForm:
    """What the answer must be, and the paths of what was not used of its description."""

    form: AnswerForm | None = None
    ignored: tuple[str, ...] = ()


def asked_form_of(body: ChatBody) -> AskedForm:
    """The form that a body asks for.

    Raises:
        UnsupportedValue, UnsupportedParameter: It cannot be enforced.
        ConflictingParameters: There are two.
        RequestError: It is wrong.
    """
    json_form = AskedForm()
    if body.response_format is not None:
        asked = body.response_format
        json_form = read_format(asked.type, asked.json_schema, at="response_format")
    if body.structured_outputs is None:
        return json_form
    if json_form.form is not None:
        raise ConflictingParameters(
            "response_format says JSON, structured_outputs one of its choices; send one of them",
            param="structured_outputs",
        )
    return _read_choices(body.structured_outputs, at="structured_outputs")


def read_format(
    kind: str, described: JsonSchemaFormat | None, *, at: str, inner: str = ".json_schema"
) -> AskedForm:
    """The form of a format that stands at path ``at``, and its schema at ``inner`` in it."""
    if kind == "text":
        return AskedForm()
    if kind == "json_object":
        return AskedForm(JsonForm(ANY_OBJECT, path=at))
    if kind != "json_schema":
        raise UnsupportedValue(
            f"{at}.type: expected text, json_object or json_schema", param=f"{at}.type"
        )
    if described is None:
        path = at + inner
        raise RequestError(f"{path}: expected, but absent (missing)", param=path)
    path = f"{at}{inner}.schema"
    schema = read_schema(described.schema_, at=path, is_strict=bool(described.strict))
    return AskedForm(JsonForm(schema.text, described.name, path), schema.ignored)


def _read_choices(asked: StructuredOutputs, *, at: str) -> AskedForm:
    for name in asked.unknown_names():
        path = f"{at}.{name}"
        raise UnsupportedParameter(
            f"{path}: expected choice alone; for JSON, send response_format", param=path
        )
    if asked.choice is None:
        return AskedForm()
    if sum(len(choice.encode()) for choice in asked.choice) > MAX_CHOICES_BYTES:
        path = f"{at}.choice"
        raise RequestError(f"{path}: expected at most {MAX_CHOICES_BYTES} bytes", param=path)
    return AskedForm(ChoiceForm(tuple(dict.fromkeys(asked.choice)), f"{at}.choice"))
