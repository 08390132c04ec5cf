"""Every error of the tree, in every dialect."""

from collections.abc import Iterator

import pytest

from api.dialects import dialect_of, error_response
from contracts.errors import MediaError, QueueFull, RequestError, ServiceError, StreamNotFound
from tests.api.fakes import serve


def every_error(cls: type[ServiceError] = ServiceError) -> Iterator[ServiceError]:
    if cls is not MediaError:  # never raised itself
        yield cls("why", kind="video") if issubclass(cls, MediaError) else cls("why")
    for sub in cls.__subclasses__():
        yield from every_error(sub)


JPS_UNPROCESSABLE = (
    "invalid_json",
    "invalid_request",
    "stream_limit_reached",
    "stream_connect_failed",
)


@pytest.mark.parametrize("error", list(every_error()), ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("path", ["/v1/x", "/analyze_video", "/api/v1/x"])
def test_status_and_headers_are_true_in_every_dialect(error: ServiceError, path: str) -> None:
    response = error_response(error, path)
    is_jps = path.startswith("/api/v1") and error.code in JPS_UNPROCESSABLE
    assert response.status_code == (422 if is_jps else error.status)
    assert response.headers["x-error-code"] == error.code
    assert response.headers["x-should-retry"] == ("true" if error.is_retryable else "false")
    assert ("retry-after" in response.headers) == error.is_retryable
    assert "kind" not in error.code


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", "openai"),
        ("/", "openai"),
        ("/docs", "openai"),
        ("/analyze_image", "analyze"),
        ("/api/v1/chat/completion", "jps"),
        ("/v1/alerts", "jps"),
    ],
)
def test_each_path_has_its_dialect(path: str, dialect: str) -> None:
    assert dialect_of(path) == dialect


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/streams/x", 404),
        ("/api/v1/chat/completions", 404),
        ("/api/v1/live-stream/x", 422),
        ("/api/v1/alerts", 422),
        ("/v1/alerts", 422),
    ],
)
def test_jps_calls_a_wrong_stream_unprocessable_where_it_configures(path: str, status: int) -> None:
    assert error_response(StreamNotFound("why"), path).status_code == status


@pytest.mark.parametrize(("asked_s", "said"), [(0, "5"), (1, "1"), (7, "7"), (600, "60")])
def test_retry_after_is_1_to_60(asked_s: int, said: str) -> None:
    error = QueueFull("full", retry_after_s=asked_s)
    assert error_response(error, "/v1/x").headers["retry-after"] == said


def test_the_three_bodies() -> None:
    error = RequestError("a.b[0]: wrong", param="a.b[0]")
    assert error_response(error, "/v1/x").body == (
        b'{"error":{"message":"a.b[0]: wrong","type":"invalid_request_error",'
        b'"param":"a.b[0]","code":"invalid_request"}}'
    )
    assert error_response(error, "/analyze_image").body == (
        b'{"response":"","status":"failed","error":"a.b[0]: wrong","code":"invalid_request"}'
    )
    assert error_response(error, "/api/v1/x").body == (
        b'{"detail":[{"loc":["body","a","b",0],"msg":"a.b[0]: wrong","type":"value_error"}]}'
    )


def test_jps_lists_what_pydantic_found() -> None:
    body = {"messages": [{"role": "user", "content": "a"}], "seed": "x", "top_p": 0}
    reply = serve().post("/api/v1/chat/completions", json=body)
    assert reply.status_code == 422
    assert reply.json()["detail"] == [
        {"loc": ["body", "top_p"], "msg": "expected > 0.0", "type": "greater_than"},
        {"loc": ["body", "seed"], "msg": "expected an integer", "type": "int_type"},
    ]


def test_jps_says_text_where_it_is_not_json() -> None:
    headers = {"Content-Type": "application/json"}
    reply = serve().post("/api/v1/chat/completions", content=b"{", headers=headers)
    assert reply.status_code == 422
    (problem,) = reply.json()["detail"]
    assert problem["loc"] == ["body"]
    assert problem["type"] == "json_invalid"
