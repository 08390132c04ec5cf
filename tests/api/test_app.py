"""Paths, methods, headers and what surrounds every request."""

import logging

import pytest
from starlette.testclient import TestClient

from api.app import build_app
from tests.api.fakes import DeltaRunner, deps_of, saying, serve, user

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/nothing", "error"),
        ("/v1/nothing", "error"),
        ("/api/v1/nothing", "detail"),
        ("/analyze_sound", "response"),
        ("/v1/chat/completions/", "error"),
        ("/v1/models/", "error"),
        ("/analyze_video/", "response"),
    ],
)
def test_an_unknown_path_is_404_in_the_dialect_of_its_prefix(path: str, body: str) -> None:
    reply = serve().post(path, json={}) if "models" not in path else serve().get(path)
    assert reply.status_code == 404
    assert body in reply.json()
    assert reply.headers["x-error-code"] in ("not_found", "model_not_found")
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/completions", "/v1/chat/completions"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/audio/speech", "sound"),
        ("/v1/files", "/analyze_video"),
    ],
)
def test_what_is_not_offered_says_what_to_use(path: str, instead: str) -> None:
    error = serve().post(path, json={}).json()["error"]
    assert error["code"] == "not_found"
    assert path.rpartition("/speech")[0] or path in error["message"]
    assert instead in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("PUT", "/analyze_image", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/api/v1/health/ready", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_405_with_allow(method: str, path: str, allowed: str) -> None:
    reply = serve().request(method, path)
    assert reply.status_code == 405
    assert reply.headers["allow"] == allowed
    assert reply.headers["x-error-code"] == "method_not_allowed"
    assert allowed in reply.text


@pytest.mark.parametrize("asked", ["abc", "A.b_c-9", "x" * 128])
def test_the_callers_request_id_is_kept(asked: str) -> None:
    assert (
        serve().get("/v1/models", headers={"X-Request-Id": asked}).headers["x-request-id"] == asked
    )


@pytest.mark.parametrize("asked", ["", "a b", "x" * 129, "a/b", "ä"])
def test_an_unsafe_request_id_is_replaced(asked: str) -> None:
    reply = serve().get("/nothing", headers={b"X-Request-Id": asked.encode()})
    assert reply.headers["x-request-id"].startswith("req_")


def test_a_fault_of_ours_is_500_and_says_only_the_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = DeltaRunner(ValueError("secret detail in /a/local/path"))
    reply = serve(runner).post(CHAT, json=user("hi"), headers={"X-Request-Id": "abc"})
    assert reply.status_code == 500
    assert reply.json() == {
        "error": {
            "message": "internal error, request abc",
            "type": "server_error",
            "param": None,
            "code": "server_error",
        }
    }
    assert reply.headers["x-error-code"] == "server_error"
    assert "secret detail" in caplog.text


def test_each_request_is_one_log_line_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api")
    client = serve(api_keys="sesame")
    headers = {"X-Request-Id": "abc", "Authorization": "Bearer sesame"}
    client.get("/v1/models/m?api_key=sesame", headers=headers)
    client.get("/some/unknown/path", headers=headers)
    lines = [record.getMessage() for record in caplog.records if record.name == "api.request_log"]
    assert lines[0].startswith("abc GET /v1/models/{model_id:path} 200 ")
    assert lines[1].startswith("abc GET other 404 ")
    assert "sesame" not in caplog.text


def test_an_allowed_origin_may_read_answers_and_errors() -> None:
    client = serve(cors_origins="https://a.example")
    for path in ("/v1/models", "/nothing"):
        reply = client.get(path, headers={"Origin": "https://a.example"})
        assert reply.headers["access-control-allow-origin"] == "https://a.example"
        assert "x-request-id" in reply.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in reply.headers
    reply = client.get("/v1/models", headers={"Origin": "https://b.example"})
    assert "access-control-allow-origin" not in reply.headers


def test_a_preflight_needs_no_key_and_may_ask_for_stainless_headers() -> None:
    client = serve(cors_origins="https://a.example", api_keys="sesame")
    headers = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    reply = client.options(CHAT, headers=headers)
    assert reply.status_code == 200
    assert "x-stainless-lang" in reply.headers["access-control-allow-headers"].lower()
    assert "x-request-id" in reply.headers
    headers["Access-Control-Request-Headers"] = "x-other"
    assert client.options(CHAT, headers=headers).status_code == 400


def test_without_origins_no_page_may_read() -> None:
    reply = serve().get("/v1/models", headers={"Origin": "https://a.example"})
    assert "access-control-allow-origin" not in reply.headers


def test_two_apps_live_side_by_side() -> None:
    one, other = serve(model_name="one"), serve(model_name="other")
    assert one.get("/v1/models").json()["data"][0]["id"] == "one"
    assert other.get("/v1/models").json()["data"][0]["id"] == "other"


def test_the_deps_are_asked_for_at_each_request() -> None:
    calls = []
    deps = deps_of(saying("a", times=2))
    app = build_app(lambda: calls.append(1) or deps)  # type: ignore[func-returns-value]
    assert not calls
    TestClient(app).get("/v1/models")
    assert calls
