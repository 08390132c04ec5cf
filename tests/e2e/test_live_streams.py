"""Live cameras through the served bundle, with real clients."""

import json
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import pytest
import requests
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from demo.serving import served

pytestmark = pytest.mark.e2e

KEY = "open-sesame"
AUTH = {"Authorization": f"Bearer {KEY}"}
TIMEOUT_S = 60


@contextmanager
def serving(files: Path, folder: Path, *, log: str) -> Iterator[str]:
    """The bundle with a key, and with a data directory that outlives it."""
    variables = {
        "VLM_API_KEYS": KEY,
        "VLM_STREAM_ROOT": str(files),
        "VLM_DATA_DIR": str(folder / "data"),
    }
    with served(variables, log=folder / log) as url:
        yield url


def add_door(url: str, files: Path) -> None:
    body = {"id": "door", "url": f"file://{files}/person.mp4", "loop": True}
    added = requests.post(f"{url}/v1/streams?wait_s=15", json=body, headers=AUTH, timeout=TIMEOUT_S)
    assert (added.status_code, added.json()["state"]) == (201, "running"), added.text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def door(files: Path, folder: Path) -> Iterator[str]:
    """A bundle that looks at a person who stands still; no log of it may show the key."""
    with serving(files, folder, log="log") as url:
        add_door(url, files)
        yield url
    assert KEY not in (folder / "log").read_text()


def get(url: str, *, stream: bool = False) -> requests.Response:
    """Get a picture as a browser does: with the key in the query."""
    return requests.get(url, params={"api_key": KEY}, stream=stream, timeout=TIMEOUT_S)


@contextmanager
def open_socket(url: str) -> Iterator[ClientConnection]:
    with connect(f"{url.replace('http', 'ws')}/v1/streams/preview?api_key={KEY}") as socket:
        socket.send('{"streams": {"door": {"fps": 10, "max_side": 320}}}')
        yield socket


@pytest.mark.parametrize(
    ("path", "stream", "question", "begin"),
    [
        ("/v1", {"stream_id": "door"}, "Is there a person?", "Yes"),
        ("/v1", {"stream_id": "door", "last_seconds": 2}, "Is there a fire?", "No"),
        ("/v1", {"stream_id": "door", "detail": "high"}, "Is there a person?", "Yes"),
        ("/api/v1", {"stream_id": "aaa"}, "Is there a person?", "Yes"),
    ],
)
def test_a_camera_is_asked(
    door: str, path: str, stream: dict[str, object], question: str, begin: str
) -> None:
    content = [{"type": "stream", "stream": stream}, {"type": "text", "text": question}]
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0}
    reply = requests.post(
        f"{door}{path}/chat/completions", json=body, headers=AUTH, timeout=TIMEOUT_S
    )
    assert reply.status_code == 200, reply.text
    (seen,) = reply.json()["media_info"]
    assert (seen["type"], seen["stream_id"]) == ("stream", "door")
    assert reply.json()["choices"][0]["message"]["content"].startswith(begin)


def test_its_pictures_are_seen(door: str) -> None:
    snapshot = get(f"{door}/v1/streams/door/snapshot.jpg")
    assert snapshot.content.startswith(b"\xff\xd8")
    assert float(snapshot.headers["x-frame-age-s"]) < 10
    clip = get(f"{door}/v1/streams/door/clip.mp4")
    assert clip.headers["content-type"] == "video/mp4"
    preview = f"{door}/v1/streams/door/preview.mjpeg?fps=10&overlay=1&api_key={KEY}"
    capture = cv2.VideoCapture(preview)
    pictures = [capture.read() for _ in range(3)]
    capture.release()
    assert [(ok, picture.shape) for ok, picture in pictures] == [(True, (360, 640, 3))] * 3


def test_a_page_of_tiles_sees_it(door: str) -> None:
    with open_socket(door) as socket:
        message = socket.recv(timeout=TIMEOUT_S)
    assert isinstance(message, bytes)
    (length,) = struct.unpack(">I", message[:4])
    about = json.loads(message[4 : 4 + length])
    assert (about["stream_id"], about["state"]) == ("door", "running")
    assert message[4 + length :].startswith(b"\xff\xd8")


@pytest.mark.parametrize("path", ["", "/snapshot.jpg", "/preview.mjpeg", "/clip.mp4"])
def test_nobody_sees_it_without_a_key(door: str, path: str) -> None:
    reply = requests.get(f"{door}/v1/streams/door{path}?api_key=wrong", timeout=TIMEOUT_S)
    assert reply.status_code == 401


def test_viewers_do_not_hold_back_a_stop_and_a_start_goes_on(files: Path, tmp_path: Path) -> None:
    with ExitStack() as viewers:
        with serving(files, tmp_path, log="first") as url:
            add_door(url, files)
            preview = get(f"{url}/v1/streams/door/preview.mjpeg", stream=True)
            pieces = viewers.enter_context(preview).iter_content(4096)
            next(pieces)
            socket = viewers.enter_context(open_socket(url))
            socket.recv(timeout=TIMEOUT_S)
        deque(pieces, maxlen=0)  # the answer ended whole
        with pytest.raises(ConnectionClosedError) as caught:
            deque(socket, maxlen=0)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
    with serving(files, tmp_path, log="second") as url:
        reply = requests.get(f"{url}/api/v1/live-stream", headers=AUTH, timeout=TIMEOUT_S)
        assert [one["id"] for one in reply.json()] == ["door"]
        with open_socket(url) as socket:
            assert any(b'"running"' in message for message in socket if isinstance(message, bytes))
