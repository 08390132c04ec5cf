"""Forms of answers as requests ask for them."""

import json
from typing import Any

import pytest

from api.chat_request import OPENAI_RULES, ChatRequest, read_chat
from contracts.answer_forms import ANY_OBJECT, ChoiceForm, JsonForm
from contracts.errors import RequestError
from contracts.settings import Settings
from tests.api.fakes import user

SETTINGS = Settings(model_name="m")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def asked(**body: object) -> ChatRequest:
    return read_chat(user("hi", **body), OPENAI_RULES, SETTINGS)


def described(schema: object = SCHEMA, **fields: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, **fields}}


@pytest.mark.parametrize("body", [{}, {"response_format": None}, {"structured_outputs": {}}])
def test_without_a_form_any_text_will_do(body: dict[str, object]) -> None:
    assert asked(**body).sampling.form is None
    assert asked(response_format={"type": "text"}).sampling.form is None


def test_any_object_may_be_asked_for() -> None:
    assert asked(response_format={"type": "json_object"}).sampling.form == JsonForm(ANY_OBJECT)


def test_a_schema_is_read_with_its_name() -> None:
    form = asked(response_format=described(strict=True, description="A thing")).sampling.form
    assert isinstance(form, JsonForm)
    assert form.name == "thing"
    assert form.path == "response_format.json_schema.schema"
    closed = SCHEMA | {"additionalProperties": False}
    assert json.loads(form.schema) == closed | {
        "type": "object",
        "properties": {"a": {"type": "string"}},
    }


def test_what_is_not_enforced_is_named_unless_it_is_strict() -> None:
    request = asked(response_format=described({"minProperties": 1}, foo=1))
    path = "response_format.json_schema.schema.minProperties"
    assert request.ignored == ("response_format.json_schema.foo", path)
    with pytest.raises(RequestError, match="minProperties") as caught:
        asked(response_format=described({"minProperties": 1}, strict=True))
    assert (caught.value.code, caught.value.param) == ("unsupported_value", path)


def test_choices_come_once_each() -> None:
    form = asked(structured_outputs={"choice": ["yes", "no", "yes"]}).sampling.form
    assert form == ChoiceForm(("yes", "no"))


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"response_format": {}}, "invalid_request", "response_format.type"),
        ({"response_format": {"type": "xml"}}, "unsupported_value", "response_format.type"),
        (
            {"response_format": {"type": "json_schema"}},
            "invalid_request",
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "invalid_request",
            "response_format.json_schema.schema",
        ),
        (
            {"response_format": described() | {"json_schema": {"name": "a b", "schema": {}}}},
            "invalid_request",
            "response_format.json_schema.name",
        ),
        (
            {"response_format": described({"type": "text"})},
            "invalid_request",
            "response_format.json_schema.schema.type",
        ),
        (
            {"structured_outputs": {"choice": ["a"]}, "response_format": {"type": "json_object"}},
            "conflicting_parameters",
            "structured_outputs",
        ),
        (
            {"structured_outputs": {"regex": "a+"}},
            "unsupported_parameter",
            "structured_outputs.regex",
        ),
        ({"structured_outputs": {"choice": []}}, "invalid_request", "structured_outputs.choice"),
        (
            {"structured_outputs": {"choice": [""]}},
            "invalid_request",
            "structured_outputs.choice[0]",
        ),
        (
            {"structured_outputs": {"choice": ["a" * 70_000]}},
            "invalid_request",
            "structured_outputs.choice",
        ),
    ],
)
def test_what_cannot_be_a_form_is_refused(body: dict[str, object], code: str, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(**body)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.message.startswith((param, "response_format says"))
