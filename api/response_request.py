"""A request to ``/v1/responses``, read from its body by way of what chat completions know.

Everything that can be refused without reading media is refused here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from api.chat_schemas import JsonSchemaFormat
from api.drafts import Draft, check_counts
from api.media_parts import ClipDefaults
from api.messages import MessageRules, PartReader, read_messages
from api.model_names import check_model
from api.part_schemas import (
    ContentPart,
    ImageContent,
    ImageUrl,
    Message,
    RefusalContent,
    StreamContent,
    TextContent,
    VideoContent,
)
from api.problems import request_error
from api.response_formats import AskedForm, read_format
from api.response_schemas import (
    InputImage,
    InputMessage,
    InputPart,
    InputText,
    InputVideo,
    OutputText,
    ResponseBody,
    TextFormat,
)
from contracts.errors import UnsupportedParameter
from contracts.generation import SamplingParams
from contracts.settings import Settings

KEPT_NOWHERE = ("previous_response_id", "conversation")


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """What one request for a response asks for, with the body, of which the reply repeats parts."""

    body: ResponseBody
    draft: Draft
    sampling: SamplingParams
    ignored: tuple[str, ...]


def read_response(value: object, settings: Settings) -> ResponseRequest:
    """Read a parsed JSON body.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    if isinstance(value, dict):
        check_model(value.get("model"), settings)
    try:
        body = ResponseBody.model_validate(value)
    except ValidationError as exc:
        raise request_error(exc) from exc
    _check_features(body)
    asked_form = _asked_form(body.text.format if body.text else None)
    reader = PartReader(ClipDefaults(), MessageRules(), settings)
    draft = read_messages(dict(_messages(body)), reader, at="input")
    check_counts(draft, settings)
    sampling = SamplingParams(
        max_tokens=min(body.max_output_tokens or settings.max_new_tokens, settings.max_new_tokens),
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        form=asked_form.form,
    )
    return ResponseRequest(body, draft, sampling, (*_ignored_names(body), *asked_form.ignored))


def _check_features(body: ResponseBody) -> None:
    if body.tool_choice not in (None, "none", "auto"):
        raise UnsupportedParameter(
            "tool_choice: the model calls no tools; expected none or auto", param="tool_choice"
        )
    for name in KEPT_NOWHERE:
        if getattr(body, name) is not None:
            raise UnsupportedParameter(
                f"{name}: no responses are kept; send the whole conversation as input", param=name
            )
    if body.background:
        raise UnsupportedParameter(
            "background: no responses are kept; expected false", param="background"
        )


def _asked_form(asked: TextFormat | None) -> AskedForm:
    if asked is None:
        return AskedForm()
    described = None
    if asked.type == "json_schema":
        fields = asked.model_dump(by_alias=True, include={"name", "schema_", "strict"})
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            described = JsonSchemaFormat.model_validate(given)
        except ValidationError as exc:
            raise request_error(exc, at="text.format") from exc
    return read_format(asked.type, described, at="text.format", inner="")


def _messages(body: ResponseBody) -> Iterator[tuple[str, Message]]:
    """The messages of a chat that says the same, each under its path."""
    if body.instructions:
        yield "instructions", Message(role="system", content=body.instructions)
    if isinstance(body.input, str):
        yield "input", Message(role="user", content=body.input)
        return
    for index, item in enumerate(body.input):
        if isinstance(item, InputMessage):
            said = item.content
            content = said if isinstance(said, str) else [_content_part(part) for part in said]
            yield f"input[{index}]", Message(role=item.role, content=content)


def _content_part(part: InputPart) -> ContentPart:
    match part:
        case InputText() | OutputText():
            return TextContent(type="text", text=part.text)
        case InputImage():
            image = ImageUrl(url=part.image_url, detail=part.detail)
            return ImageContent(type="image_url", image_url=image)
        case InputVideo():
            return VideoContent(type="video_url", video_url=part.video)
        case RefusalContent() | StreamContent():
            return part


def _ignored_names(body: ResponseBody) -> Iterator[str]:
    yield from (name for name in ("tools", "tool_choice") if getattr(body, name) not in (None, []))
    yield from body.unknown_names()
    if body.text:
        yield from (f"text.{name}" for name in body.text.unknown_names())
        names = body.text.format.unknown_names() if body.text.format else ()
        yield from (f"text.format.{name}" for name in names)
    for index, item in enumerate(body.input if isinstance(body.input, list) else []):
        if isinstance(item, InputMessage):
            yield from _ignored_in(item, f"input[{index}]")


def _ignored_in(item: InputMessage, path: str) -> Iterator[str]:
    for number, part in enumerate(item.content if isinstance(item.content, list) else []):
        at = f"{path}.content[{number}]"
        yield from (f"{at}.{name}" for name in part.unknown_names())
        if isinstance(part, InputVideo):
            yield from (f"{at}.video_url.{name}" for name in part.video.unknown_names())
        if isinstance(part, StreamContent) and part.stream:
            yield from (f"{at}.stream.{name}" for name in part.stream.unknown_names())
