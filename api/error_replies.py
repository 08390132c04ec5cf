"""Errors in the three dialects, for the OpenAPI document."""

from typing import Literal

from api.reply_schemas import ReplySchema


class OpenAIErrorDetails(ReplySchema):
    """What went wrong."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"]
    param: str | None
    code: str


class OpenAIError(ReplySchema):
    """An error as OpenAI says it."""

    error: OpenAIErrorDetails


class AnalyzeError(ReplySchema):
    """An error of /analyze_video and /analyze_image."""

    response: Literal[""]
    status: Literal["failed"]
    error: str
    code: str


class JpsProblem(ReplySchema):
    """One thing that did not validate."""

    loc: list[str | int]
    msg: str
    type: str


class JpsError(ReplySchema):
    """An error under /api/v1."""

    detail: str | list[JpsProblem]
