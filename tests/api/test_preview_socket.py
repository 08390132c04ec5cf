"""The pictures of many live streams over one WebSocket."""

import io
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from api.app import build_app
from api.deps import ServiceDeps
from live.previews.live_previews import LivePreviews
from tests.api.fakes import client_of, deps_of
from tests.api.raw_socket import RawSocket
from tests.live.hand_cameras import Stage, plain, stage

PATH = "/v1/streams/preview"


@dataclass(frozen=True)
class Seen:
    """One message."""

    stream_id: str
    captured_at: str | None
    state: str
    jpeg: bytes

    @property
    def grey(self) -> float:
        return float(np.asarray(Image.open(io.BytesIO(self.jpeg))).mean())

    @property
    def size_wh(self) -> tuple[int, int]:
        return Image.open(io.BytesIO(self.jpeg)).size


def take(socket: WebSocketTestSession) -> Seen:
    message = socket.receive_bytes()
    (length,) = struct.unpack(">I", message[:4])
    about = json.loads(message[4 : 4 + length])
    assert about.keys() == {"stream_id", "captured_at", "state"}
    return Seen(**about, jpeg=message[4 + length :])


def take_until(socket: WebSocketTestSession, is_wanted: Callable[[Seen], bool]) -> Seen:
    while not is_wanted(seen := take(socket)):
        pass
    return seen


def want(socket: WebSocketTestSession, **streams: object) -> None:
    socket.send_json({"streams": streams})


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard") as made:
        made.show("door", plain(50))
        made.show("yard", plain(200))
        yield made


@pytest.fixture
def deps(staged: Stage) -> Iterator[ServiceDeps]:
    made = deps_of(streams=staged.streams, max_viewers=1)
    yield made
    assert isinstance(made.previews, LivePreviews)
    made.previews.close()


@pytest.fixture
def client(deps: ServiceDeps) -> Iterator[TestClient]:
    with client_of(deps) as made:  # one event loop for all that it does
        yield made


def test_one_connection_carries_the_streams_that_are_wanted(client: TestClient) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, door={"fps": 15, "max_side": 64}, yard={})
        seen = {one.stream_id: one for one in (take(socket), take(socket))}
        assert seen["door"].grey == pytest.approx(50, abs=3)
        assert seen["yard"].grey == pytest.approx(200, abs=3)
        assert seen["door"].size_wh == (64, 36)
        assert seen["yard"].size_wh == (160, 90)
        assert {one.state for one in seen.values()} == {"running"}
        assert str(seen["door"].captured_at).endswith("Z")


def test_newer_pictures_follow(client: TestClient, staged: Stage) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, door={"fps": 15})
        take(socket)
        staged.show("door", plain(250))
        take_until(socket, lambda one: one.grey > 240)


def test_wishes_may_change(client: TestClient) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, door={"fps": 15})
        assert take(socket).size_wh == (160, 90)
        want(socket, door={"fps": 15, "max_side": 80})
        take_until(socket, lambda one: one.size_wh == (80, 45))
        want(socket, yard={"fps": 15})
        take_until(socket, lambda one: one.stream_id == "yard")
        socket.send_text("{}")
        want(socket, door={"fps": 15, "overlay": True})
        written = take_until(socket, lambda one: one.stream_id == "door" and one.grey < 47)
        assert written.size_wh == (160, 90)


def test_a_stream_that_does_not_run_is_a_card(client: TestClient, staged: Stage) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, door={"fps": 15})
        take(socket)
        staged.lose("door")
        card = take_until(socket, lambda one: one.state == "lost")
        assert card.captured_at is None
        assert card.grey < 50


def test_a_stream_that_is_not_there_is_shown_when_it_comes(
    client: TestClient, staged: Stage
) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, attic={"fps": 15}, door={"fps": 15})
        assert take(socket).stream_id == "door"
        staged.add("attic")
        staged.show("attic", plain(100))
        take_until(socket, lambda one: one.stream_id == "attic" and one.state == "running")
        staged.streams.remove("attic")
        staged.show("door", plain(150))
        take_until(socket, lambda one: one.stream_id == "door" and one.grey > 100)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "expected JSON"),
        ("", "expected JSON"),
        ("[]", "expected"),
        ('{"stream": {}}', "stream: expected nothing of this name"),
        ('{"streams": []}', "streams: expected an object"),
        ('{"streams": {"door": {"fps": 16}}}', "streams.door.fps: expected <= 15"),
        ('{"streams": {"door": {"fps": 0}}}', "streams.door.fps: expected >= 1"),
        ('{"streams": {"door": {"max_side": 10}}}', "streams.door.max_side: expected >= 64"),
        ('{"streams": {"door": {"overlay": 1}}}', "streams.door.overlay: expected true or false"),
        ('{"streams": {"door": {"size": 1}}}', "streams.door.size: expected nothing of this name"),
    ],
)
def test_what_is_no_wish_closes_the_connection_and_says_why(
    client: TestClient, text: str, reason: str
) -> None:
    with client.websocket_connect(PATH) as socket:
        socket.send_text(text)
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
    assert caught.value.code == 1008
    assert reason in caught.value.reason


def test_bytes_are_no_wish_either(client: TestClient) -> None:
    with client.websocket_connect(PATH) as socket:
        socket.send_bytes(b"{}")
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
    assert caught.value.code == 1008


def test_a_connection_is_one_viewer(client: TestClient) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, door={}, yard={})
        take(socket)
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect(PATH),
        ):
            pass
        assert caught.value.status_code == 503
        assert caught.value.headers["x-error-code"] == "too_many_viewers"
        assert client.get("/v1/streams/door/preview.mjpeg").status_code == 503
    with client.websocket_connect(PATH) as socket:
        want(socket, door={})
        take(socket)


def test_it_closes_when_the_service_stops(client: TestClient, deps: ServiceDeps) -> None:
    with client.websocket_connect(PATH) as socket:
        want(socket, door={"fps": 1})
        take(socket)
        assert client.portal is not None
        client.portal.call(deps.stopping.set)
        with pytest.raises(WebSocketDisconnect) as caught:
            take_until(socket, lambda one: False)
    assert caught.value.code == 1012


def test_a_stream_is_sampled_as_often_as_it_is_watched(client: TestClient, staged: Stage) -> None:
    staged.add("slow", sample_fps=0.1)
    staged.show("slow", plain(50))
    with client.websocket_connect(PATH) as socket:
        want(socket, slow={"fps": 1})
        take(socket)
        staged.show("slow", plain(250))  # though it is only a second later
        take_until(socket, lambda one: one.grey > 240)


async def test_a_client_that_takes_nothing_any_more_gives_its_place_back(
    deps: ServiceDeps,
) -> None:
    hasty = replace(deps, patience_s=0.05)
    socket = RawSocket(build_app(lambda: hasty), PATH, room=1)
    assert (await socket.next())["type"] == "websocket.accept"
    socket.say(json.dumps({"streams": {"door": {"fps": 15}, "yard": {"fps": 15}}}))
    await socket.run
    with deps.previews.seat():
        pass  # there is but one
