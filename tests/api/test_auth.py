"""Keys: who needs one, and that the wrong one learns nothing."""

import hmac

import pytest

from api.app import build_app
from tests.api.asgi import RawClient
from tests.api.fakes import deps_of, saying, serve, user

CHAT = "/v1/chat/completions"
KEYS = "first,zweiter-schlüssel"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer first,zweiter-schlüssel",
        "Basic first",
        "first",
        "Bearer firs",
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/analyze_video", "/api/v1/chat/completions", "/nothing"])
def test_without_a_right_key_it_is_401(path: str, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode()}
    reply = serve(api_keys=KEYS).post(path, json=user("hi"), headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["x-error-code"] == "invalid_api_key"
    assert "first" not in reply.text
    assert "wrong" not in reply.text.replace("a wrong key", "")


@pytest.mark.parametrize("header", ["Bearer first", "bearer first", "Bearer zweiter-schlüssel"])
def test_each_key_opens(header: str) -> None:
    reply = serve(api_keys=KEYS).post(
        CHAT, json=user("hi"), headers={b"Authorization": header.encode()}
    )
    assert reply.status_code == 200


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer foo"}])
def test_without_keys_anybody_may_call(header: dict[str, str]) -> None:
    assert serve().post(CHAT, json=user("hi"), headers=header).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/api/v1/health/ready", 200),
        ("HEAD", "/api/v1/health/ready", 200),
        ("POST", "/api/v1/health/ready", 401),
        ("OPTIONS", CHAT, 405),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/status", 401),
    ],
)
def test_only_these_need_no_key(method: str, path: str, status: int) -> None:
    assert serve(api_keys="k").request(method, path).status_code == status


async def test_the_key_is_checked_before_the_body_is_read() -> None:
    deps = deps_of(api_keys="k")
    client = RawClient(build_app(lambda: deps), CHAT, [b"{"], is_whole=False)
    await client.run()
    assert client.status == 401
    assert client.num_unread == 1


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def noting(ours: bytes, theirs: bytes) -> bool:
        compared.append(ours)
        return real(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    client = serve(saying("a"), api_keys="one,two,three")
    client.get("/v1/models", headers={"Authorization": "Bearer one"})
    assert compared == [b"one", b"two", b"three"]
