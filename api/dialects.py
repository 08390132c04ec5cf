"""One error, three ways to say it: OpenAI's, the one of ``/analyze_*``, and JPS's.

The status is always the true one. Knows nothing of why something failed.
"""

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError
from starlette.responses import JSONResponse

from api.problems import list_problems
from contracts.errors import ServiceError

Dialect = Literal["openai", "analyze", "jps"]
NATIVE = ("/v1/streams", "/v1/rules", "/v1/events", "/v1/deliveries")
JPS_VALIDATION = {"invalid_json": "json_invalid", "invalid_request": "value_error"}
JPS_TEXTS = {
    "model_loading": "VLM Model is still loading. Please try again later.",
    "stream_limit_reached": "Stream Maximum reached. Remove a stream first to add another.",
}
JPS_UNPROCESSABLE = {*JPS_VALIDATION, "stream_limit_reached", "stream_connect_failed"}
JPS_CONFIGURING = ("/api/v1/live-stream", "/api/v1/alerts", "/v1/alerts")


def dialect_of(path: str) -> Dialect:
    """The dialect that the clients of a path speak."""
    if path.startswith("/analyze_"):
        return "analyze"
    if path.startswith(("/api/v1/", "/v1/alerts")) or path == "/api/v1":
        return "jps"
    return "openai"


def is_native(path: str) -> bool:
    """Whether a path is of the native API, which refuses what it does not know."""
    return path.startswith(NATIVE)


def error_response(
    error: ServiceError, path: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The whole answer to a request that failed before its status line."""
    dialect = dialect_of(path)
    response = JSONResponse(BODIES[dialect](error), _status(error, dialect, path), headers)
    response.headers["x-error-code"] = error.code
    response.headers["x-should-retry"] = "true" if error.is_retryable else "false"
    if error.is_retryable or error.retry_after_s is not None:
        response.headers["retry-after"] = str(min(max(error.retry_after_s or 5, 1), 60))
    if error.ends_connection:
        response.headers["connection"] = "close"
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def openai_body(error: ServiceError) -> dict[str, object]:
    """The error in OpenAI's envelope; also what an event stream sends."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def analyze_body(error: ServiceError) -> dict[str, object]:
    """The error as ``/analyze_*`` says it."""
    return {"response": "", "status": "failed", "error": error.message, "code": error.code}


def jps_body(error: ServiceError) -> dict[str, object]:
    """The error as JPS says it: a text, or a list where the request did not validate."""
    if error.code not in JPS_VALIDATION:
        return {"detail": JPS_TEXTS.get(error.code, error.message)}
    if isinstance(error.__cause__, ValidationError):
        return {"detail": [problem.as_jps() for problem in list_problems(error.__cause__)]}
    loc = ["body", *_split_path(error.param or "")]
    return {"detail": [{"loc": loc, "msg": error.message, "type": JPS_VALIDATION[error.code]}]}


BODIES = {"openai": openai_body, "analyze": analyze_body, "jps": jps_body}


def _status(error: ServiceError, dialect: Dialect, path: str) -> int:
    if dialect != "jps":
        return error.status
    if error.code == "stream_not_found" and path.startswith(JPS_CONFIGURING):
        return 422
    return 422 if error.code in JPS_UNPROCESSABLE else error.status


def _split_path(path: str) -> list[str | int]:
    return [int(name) if name.isdigit() else name for name in re.findall(r"[^.\[\]]+", path)]
