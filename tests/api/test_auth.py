"""Keys: who needs one, and that the wrong one learns nothing."""

import hmac

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from api.app import build_app
from api.auth import KeyCheck
from api.fallback import Fallback
from api.request_log import RequestLog
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


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the query that is left."""
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_text(scope["query_string"].decode())
        await websocket.close()
    else:
        await PlainTextResponse(scope["query_string"])(scope, receive, send)


def guarded(cors_origins: str = "") -> TestClient:
    deps = deps_of(api_keys="k,l", cors_origins=cors_origins)
    return TestClient(RequestLog(Fallback(KeyCheck(echo, lambda: deps))))


@pytest.mark.parametrize(
    "path",
    [
        "/v1/streams/door/snapshot.jpg",
        "/v1/streams/door/preview.mjpeg",
        "/v1/streams/door/clip.mp4",
        "/v1/events/evt_1/frame.jpg",
        "/v1/events/evt_1/clip.mp4",
        "/v1/events/feed",
    ],
)
def test_what_browsers_embed_takes_the_key_from_the_query_and_nobody_sees_it_there(
    path: str,
) -> None:
    client = guarded()
    reply = client.get(path, params={"fps": "5", "api_key": "k", "name": "Tür & Tor"})
    assert (reply.status_code, reply.text) == (200, "fps=5&name=T%C3%BCr+%26+Tor")
    assert client.head(path, params={"api_key": "l"}).status_code == 200
    assert client.get(path, params={"api_key": "wrong"}).status_code == 401
    assert client.get(path, params={"api_key": ""}).status_code == 401
    assert client.post(path, params={"api_key": "k"}).status_code == 401
    both = {"Authorization": "Bearer wrong"}
    assert client.get(path, params={"api_key": "k"}, headers=both).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/v1/streams", "/v1/streams/door", "/v1/models", "/v1/streams/a/b/clip.mp4", "/v1/events"],
)
def test_other_paths_do_not(path: str) -> None:
    assert guarded().get(path, params={"api_key": "k"}).status_code == 401


@pytest.mark.parametrize("query", ["?api_key=k", "?api_key=k&x=1"])
def test_every_websocket_takes_the_key_from_the_query(query: str) -> None:
    with guarded().websocket_connect(f"/any{query}") as socket:
        assert "api_key" not in socket.receive_text()


@pytest.mark.parametrize("query", ["", "?api_key=wrong"])
def test_a_websocket_without_a_key_is_refused_before_it_opens(query: str) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        guarded().websocket_connect(f"/v1/streams/preview{query}"),
    ):
        pass
    assert caught.value.status_code == 401
    assert caught.value.headers["x-error-code"] == "invalid_api_key"
    assert caught.value.headers["x-request-id"]


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        (None, True),
        ("http://testserver", True),
        ("https://TESTSERVER", True),
        ("https://pages.example", True),
        ("https://other.example", False),
        ("http://testserver.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_pages_of_other_origins_open_no_websocket(origin: str | None, *, opens: bool) -> None:
    client = guarded(cors_origins="https://pages.example")
    headers = {"Authorization": "Bearer k"} | ({} if origin is None else {"Origin": origin})
    if opens:
        with client.websocket_connect("/any", headers=headers) as socket:
            socket.receive_text()
        return
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect("/any", headers=headers),
    ):
        pass
    assert caught.value.status_code == 403
    assert caught.value.json()["error"]["code"] == "origin_not_allowed"
