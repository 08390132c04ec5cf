"""Live streams as RTSP through the served bundle, to players of other people."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import av
import cv2
import pytest
import requests

from demo.serving import ROOT, free_port, served

pytestmark = pytest.mark.e2e

KEY = "open-sesame"
AUTH = {"Authorization": f"Bearer {KEY}"}
TIMEOUT_S = 60
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    """The demo camera."""
    command = [sys.executable, "-m", "demo.camera", "--port", "0", "--size", "640x360"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def url(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bundle with a key, two places for viewers, and a port for players."""
    log = tmp_path_factory.mktemp("rtsp") / "log"
    settings = {"VLM_RTSP_PORT": str(port), "VLM_API_KEYS": KEY, "VLM_MAX_VIEWERS": "2"}
    with served(settings, log=log) as base:
        yield base
    assert KEY not in log.read_text()


@pytest.fixture(scope="module")
def door(url: str, camera: str) -> str:
    body = {"id": "door", "name": "Front door", "url": camera}
    added = requests.post(f"{url}/v1/streams?wait_s=15", json=body, headers=AUTH, timeout=TIMEOUT_S)
    assert (added.status_code, added.json()["state"]) == (201, "running"), added.text
    return url


def played(port: int, path: str = "/out", *, key: str = KEY) -> str:
    return f"rtsp://lookout:{key}@127.0.0.1:{port}{path}"


def opened(address: str, transport: str = "tcp") -> av.container.InputContainer:
    return av.open(address, options={"rtsp_transport": transport}, timeout=TIMEOUT_S)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_address_of_the_readme_plays(door: str, port: int, transport: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    (address,) = re.findall(r"^ffplay (rtsp://\S+)$", README, re.MULTILINE)
    assert address == "rtsp://localhost:5011/out"
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", played(port)]
    command += ["-frames:v", "10", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
    assert len(done.stdout) == 10 * 640 * 360 * 3


@pytest.mark.parametrize("protocols", ["tcp", "udp"])
def test_gstreamer_plays_it(door: str, port: int, protocols: str, tmp_path: Path) -> None:
    gst = shutil.which("gst-launch-1.0")
    if gst is None:
        pytest.skip("GStreamer is not installed")
    stream = tmp_path / "h264"
    source = f"rtspsrc location={played(port, '/out/door')} protocols={protocols} latency=0"
    caps = "video/x-h264,stream-format=byte-stream"
    chain = f"{source} ! rtph264depay ! h264parse ! {caps} ! identity eos-after=10 ! filesink"
    command = [gst, "-q", *f"{chain} location={stream}".split()]
    subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    with av.open(str(stream), format="h264") as container:
        assert next(container.decode(video=0)).width == 640


def test_opencv_plays_it(door: str, port: int) -> None:
    capture = cv2.VideoCapture(played(port, "/out/door"), cv2.CAP_FFMPEG)
    pictures = [capture.read() for _ in range(3)]
    capture.release()
    assert [(ok, picture.shape) for ok, picture in pictures] == [(True, (360, 640, 3))] * 3


def test_nobody_sees_it_without_a_key(door: str, port: int) -> None:
    for address in (played(port, key="wrong"), f"rtsp://127.0.0.1:{port}/out"):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            opened(address)


def test_what_is_not_there_is_not_found(door: str, port: int) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        opened(played(port, "/out/yard"))


def test_players_and_previews_share_the_places(door: str, port: int) -> None:
    preview = f"{door}/v1/streams/door/preview.mjpeg"
    with ExitStack() as viewers:
        one = viewers.enter_context(
            requests.get(preview, headers=AUTH, stream=True, timeout=TIMEOUT_S)
        )
        pieces = one.iter_content(4096)
        next(pieces)
        viewers.enter_context(opened(played(port)))
        with pytest.raises(av.error.FFmpegError):
            opened(played(port))
        refused = requests.get(preview, headers=AUTH, timeout=TIMEOUT_S)
        assert refused.headers["x-error-code"] == "too_many_viewers"


def test_a_stream_that_does_not_run_shows_a_card_and_one_that_is_removed_ends(
    door: str, port: int
) -> None:
    body = {"id": "later", "url": "rtsp://127.0.0.1:9/off", "enabled": False}
    assert requests.post(f"{door}/v1/streams", json=body, headers=AUTH, timeout=5).ok
    with opened(played(port, "/out/later"), "udp") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert picture.shape == (720, 1280, 3)
        assert picture.mean() < 50  # dark, with its state in it
        removed = requests.delete(f"{door}/v1/streams/later", headers=AUTH, timeout=TIMEOUT_S)
        assert removed.status_code == 200
        with suppress(av.error.FFmpegError):
            deque(container.decode(video=0), maxlen=0)
    with pytest.raises(av.error.HTTPNotFoundError):
        opened(played(port, "/out/later"))


def test_it_is_bound_to_the_address_of_the_http_server(door: str, port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), TIMEOUT_S)


@pytest.mark.slow
def test_a_port_that_is_taken_ends_the_start_with_a_sentence() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(RuntimeError, match=r"VLM_RTSP_PORT: cannot listen on port .* in use"),
        served({"VLM_RTSP_PORT": str(taken.getsockname()[1])}),
    ):
        pass
