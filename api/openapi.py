"""The OpenAPI document: both kinds of body, every parameter with its range, every error.

Schemas are made from the wire schemas and the reply schemas, so that they cannot disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api import (
    error_replies,
    response_replies,
    response_schemas,
)
from api import reply_schemas as replies
from api.analyze_schemas import ImageOptions, VideoOptions
from api.chat_schemas import ChatBody
from api.deps import GetDeps
from api.dialects import dialect_of, is_native
from api.document_schemas import component_schemas
from contracts.errors import MediaKind

REF = "#/components/schemas/{model}"
Schema = dict[str, Any]  # a JSON Schema: any JSON object

ERROR_SCHEMAS: dict[str, type[BaseModel]] = {
    "openai": error_replies.OpenAIError,
    "analyze": error_replies.AnalyzeError,
    "jps": error_replies.JpsError,
}
ERRORS = {
    400: "The request is not valid, or its media cannot be used; x-error-code says what",
    401: "invalid_api_key: the key is missing or wrong",
    404: "No such thing",
    409: "stream_exists, rule_exists, stream_limit_reached or rule_limit_reached",
    410: "evidence_gone: removed by the budget of size or age",
    413: "request_too_large, image_file_too_large or video_file_too_large",
    415: "unsupported_content_type",
    416: "range_not_satisfiable: the file has no such range",
    422: "invalid_json, invalid_request, stream_not_found, stream_limit_reached or"
    " stream_connect_failed",
    429: "queue_full: as many wait, or are being received, as may be; see retry-after",
    500: "server_error: a fault of ours",
    503: "model_loading, model_unavailable, shutting_down, storage_unavailable, too_many_viewers or"
    " stream_no_fresh_frame; see retry-after",
    504: "request_timeout",
}
GENERATION_ERRORS = (400, 401, 404, 413, 415, 429, 500, 503, 504)
WAITING = (429, 503)
HEADERS = {
    "x-request-id": "The caller's own name of the request, or one that was given to it",
    "x-ignored-parameters": "What was accepted but not used, at most 16 names",
    "x-error-code": "What went wrong, one stable name",
    "x-should-retry": "true where the same request may succeed later",
    "retry-after": "Seconds to wait, 1 to 60",
    "location": "Path of what was added",
    "etag": "Changes with the content",
    "accept-ranges": "bytes: a part may be asked for",
    "x-captured-at": "When the frame was captured",
    "x-frame-age-s": "How old the frame is, seconds",
    "x-clip-from": "When the clip's first frame was captured",
    "x-clip-to": "When the clip's last frame was captured",
}


class Operation(TypedDict):
    """What a route's decorator is told for the document."""

    summary: str
    response_model: None
    responses: dict[int | str, Schema]
    openapi_extra: Schema


@dataclass(frozen=True, slots=True)
class Success:
    """How a route answers when all is well; ``content`` is by media type."""

    content: Schema
    status: int = 200
    headers: tuple[str, ...] = ()


def operation(
    path: str,
    summary: str,
    reply: type[BaseModel] | Success,
    *errors: int,
    body: Schema | None = None,
    query: type[BaseModel] | None = None,
) -> Operation:
    """The document of one route."""
    success = reply if isinstance(reply, Success) else Success(json_of(reply))
    ignores = ("x-ignored-parameters",) if body and not is_native(path) else ()
    ok: Schema = {
        "description": "Success",
        "headers": _headers("x-request-id", *ignores, *success.headers),
        "content": success.content,
    }
    told: dict[int | str, Schema] = {success.status: ok}
    for status in errors:
        told[status] = _error(path, status)
    extra: Schema = {"requestBody": {"required": True, "content": body}} if body else {}
    if query is not None:
        extra["parameters"] = _parameters(query)
    return Operation(summary=summary, response_model=None, responses=told, openapi_extra=extra)


def chat_operation(path: str) -> Operation:
    """The document of chat completions."""
    errors = (*GENERATION_ERRORS, 422) if dialect_of(path) == "jps" else GENERATION_ERRORS
    summary = "Ask about text, pictures and videos"
    told = operation(path, summary, replies.ChatCompletion, *errors, body=json_of(ChatBody))
    return _streamed(told, "chunks, then [DONE]")


def response_operation(path: str) -> Operation:
    """The document of responses."""
    body = json_of(response_schemas.ResponseBody)
    summary = "Ask as chats do, in the words of OpenAI's newer API"
    told = operation(path, summary, response_replies.ResponseReply, *GENERATION_ERRORS, body=body)
    return _streamed(told, "response.created to response.completed, each event under its name")


def _streamed(told: Operation, events: str) -> Operation:
    described = {"type": "string", "description": f"With stream true: {events}"}
    told["responses"][200]["content"]["text/event-stream"] = {"schema": described}
    return told


def analyze_operation(kind: MediaKind) -> Operation:
    """The document of ``/analyze_image`` or ``/analyze_video``."""
    reply = replies.AnalyzeImageReply if kind == "image" else replies.AnalyzeVideoReply
    errors = [status for status in GENERATION_ERRORS if status != 404]
    path, summary = f"/analyze_{kind}", f"Ask about one {kind}"
    body = _json(_analyze_json(kind)) | _multipart(kind)
    return operation(path, summary, reply, *errors, body=body)


def probe_operation(path: str) -> Operation:
    """The document of the media probe."""
    body = json_of(ChatBody) | _multipart("video", "image")
    summary = "Read a request's media, count its tokens, ask nothing"
    return operation(path, summary, replies.MediaProbe, *GENERATION_ERRORS, body=body)


def document(app: FastAPI, deps: GetDeps) -> Callable[[], Schema]:
    """What makes the app's document, once."""

    def openapi() -> Schema:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=deps().version,
                description=app.description,
                routes=app.routes,
            )
            _drop_foreign_answers(made)
            components = made.setdefault("components", {})
            components["schemas"] = component_schemas(REF)
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{}, {"key": []}]
            app.openapi_schema = made
        return app.openapi_schema

    return openapi


def _drop_foreign_answers(made: Schema) -> None:
    """Drop the 422 that FastAPI adds for path parameters; ours are texts, which cannot fail."""
    for operations in made["paths"].values():
        for one in operations.values():
            if "headers" not in one["responses"].get("422", {"headers": {}}):
                del one["responses"]["422"]


def _error(path: str, status: int) -> Schema:
    names = ("x-request-id", "x-error-code", "x-should-retry")
    return {
        "description": ERRORS[status],
        "headers": _headers(*names, *(["retry-after"] if status in WAITING else [])),
        "content": json_of(ERROR_SCHEMAS[dialect_of(path)]),
    }


def _headers(*names: str) -> Schema:
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}


def _parameters(query: type[BaseModel]) -> list[Schema]:
    properties = query.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description"),
            "schema": schema,
        }
        for name, schema in properties.items()
    ]


def _analyze_json(kind: MediaKind) -> Schema:
    url = {"type": "string", "description": f"http(s) or data URL of the {kind}"}
    properties = {f"{kind}_url": url, "metadata": _metadata(kind)} | _option_properties(kind)
    return {"type": "object", "required": [f"{kind}_url"], "properties": properties}


def _multipart(*kinds: MediaKind) -> Schema:
    properties: Schema = {}
    for kind in kinds:
        properties[kind] = {"type": "string", "format": "binary"}
        properties[f"{kind}_url"] = {"type": "string", "description": "Instead of the file"}
        properties |= {"metadata": _metadata(kind)} | _option_properties(kind)
    return {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": properties},
            "encoding": {"metadata": {"contentType": "application/json"}},
        }
    }


def _metadata(kind: MediaKind) -> Schema:
    return _ref(_options(kind)) | {"description": "The options, here or beside"}


def _option_properties(kind: MediaKind) -> Schema:
    return dict(_options(kind).model_json_schema()["properties"])


def _options(kind: MediaKind) -> type[ImageOptions]:
    return ImageOptions if kind == "image" else VideoOptions


def _ref(schema: type[BaseModel]) -> Schema:
    return {"$ref": REF.format(model=schema.__name__)}


def json_of(schema: type[BaseModel]) -> Schema:
    """Content: one of a schema, as JSON."""
    return _json(_ref(schema))


def json_list_of(schema: type[BaseModel]) -> Schema:
    """Content: a list of a schema, as JSON."""
    return _json({"type": "array", "items": _ref(schema)})


def text_of(media_type: str) -> Schema:
    """Content: text of a media type."""
    return {media_type: {"schema": {"type": "string"}}}


def binary_of(media_type: str) -> Schema:
    """Content: bytes of a media type."""
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
