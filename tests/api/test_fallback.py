"""The last catch, around the smallest apps."""

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from api.app import build_app
from api.fallback import Fallback
from api.request_log import RequestLog
from tests.api.asgi import RawClient
from tests.api.fakes import FakeMedia, deps_of, image, serve, user


def failing(*, late: bool) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if late:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("secret")

    return RequestLog(Fallback(app))


@pytest.mark.parametrize(("late", "statuses"), [(False, [500]), (True, [200])])
async def test_an_exception_is_logged_and_answered_once(
    late: bool, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    client = RawClient(failing(late=late), "/analyze_video")
    await client.run()
    assert [message["status"] for message in client.sent if "status" in message] == statuses
    assert b"secret" not in client.body
    assert "secret" in caplog.text


def test_a_time_out_that_is_not_the_requests_is_a_fault_of_ours() -> None:
    media = FakeMedia({"a": TimeoutError("x")})
    reply = serve(media=media).post("/v1/chat/completions", json=user(image("a")))
    assert reply.status_code == 500


def test_the_apps_start_and_stop_pass_through() -> None:
    deps = deps_of()
    with TestClient(build_app(lambda: deps)) as client:
        assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize("late", [False, True])
def test_a_websocket_that_fails_is_refused_or_closed(
    late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if late:
            await send({"type": "websocket.accept"})
        raise ValueError("secret")

    client = TestClient(RequestLog(Fallback(app)))
    with (
        pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)) as caught,
        client.websocket_connect("/v1/x") as socket,
    ):
        socket.receive_text()
    failure = caught.value
    if isinstance(failure, WebSocketDenialResponse):
        assert (late, failure.status_code) == (False, 500)
    else:
        assert (late, failure.code) == (True, 1011)
    assert "secret" in caplog.text
