"""Our server against clients of other people, and against none at all."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from contracts.media import U8
from live.rtsp_server.broadcast import Broadcast
from live.rtsp_server.h264_encoder import AccessUnit
from live.rtsp_server.outlets import InterleavedOutlet, RtpPlayer
from live.rtsp_server.server import SPARE_CONNECTIONS
from live.seats import Seats
from tests.live.pictures import number_of
from tests.live.rtsp_cameras import NumberedPictures, RtspCamera, rtsp_camera

WIDTH, HEIGHT = 128, 96
NUM_PICTURES = 25


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    with rtsp_camera() as camera:
        yield camera


def rising_numbers(raw: bytes) -> list[int]:
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    found = [number_of(rgb) for rgb in pictures]
    assert found == sorted(set(found)), found
    return found


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_ffmpeg_plays_it(camera: RtspCamera, transport: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", camera.url()]
    command += ["-frames:v", str(NUM_PICTURES), "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    played = subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert len(rising_numbers(played.stdout)) == NUM_PICTURES


def test_ffmpeg_knows_digest() -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    with rtsp_camera(passwords=("sesame",)) as camera:
        url = camera.url(login="lookout:sesame@")
        command = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url]
        command += ["-frames:v", "3", "-f", "null", "-"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_wrong_credentials_see_nothing() -> None:
    with rtsp_camera(passwords=("sesame", "poppy")) as camera:
        for login in ("", "lookout:barley@", "admin:sesame@"):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                av.open(camera.url(login=login), options={"rtsp_transport": "tcp"}, timeout=30)
        assert camera.server.num_viewers == 0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_pyav_plays_it_with_any_of_the_passwords(host: str, transport: str) -> None:
    with rtsp_camera(passwords=("sesame", "poppy"), host=host) as camera:
        url = camera.url(login="lookout:poppy@")
        with av.open(url, options={"rtsp_transport": transport}, timeout=30) as container:
            frames = [frame for frame, _ in zip(container.decode(video=0), range(5), strict=False)]
        found = [number_of(frame.to_ndarray(format="rgb24").astype(np.uint8)) for frame in frames]
        assert found == sorted(set(found))


@pytest.mark.parametrize("protocols", ["tcp", "udp"])
def test_gstreamer_plays_it(camera: RtspCamera, protocols: str, tmp_path: Path) -> None:
    gst = shutil.which("gst-launch-1.0")
    if gst is None or not has_element("openh264dec"):
        pytest.skip("GStreamer is not installed, or without openh264dec")
    raw = tmp_path / "raw"
    source = f"rtspsrc location={camera.url()} protocols={protocols} latency=0"
    chain = f"{source} ! rtph264depay ! h264parse ! openh264dec ! videoconvert"
    sink = f"video/x-raw,format=RGB ! identity eos-after={NUM_PICTURES} ! filesink location={raw}"
    command = [gst, "-q", *f"{chain} ! {sink}".split()]
    subprocess.run(command, capture_output=True, timeout=60)  # 1.22 at times fails as it hangs up
    assert len(rising_numbers(raw.read_bytes())) >= NUM_PICTURES - 1


def has_element(name: str) -> bool:
    return subprocess.run(["gst-inspect-1.0", name], capture_output=True).returncode == 0


def test_opencv_plays_it(camera: RtspCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    capture = cv2.VideoCapture(camera.url(), cv2.CAP_FFMPEG)
    found: list[int] = []
    while len(found) < 10:
        is_read, bgr = capture.read()
        assert is_read
        found.append(number_of(bgr))
    capture.release()
    assert found == sorted(set(found))


def ask(camera: RtspCamera, *requests: str) -> list[str]:
    """Send requests on one connection; the status lines of the replies."""
    with socket.create_connection(("127.0.0.1", camera.port), timeout=60) as client:
        file = client.makefile("rb")
        found = []
        for cseq, request in enumerate(requests):
            first, *rest = request.split("\n")
            lines = [first.format(url=camera.url()) + " RTSP/1.0", f"CSeq: {cseq}", *rest]
            client.sendall("\r\n".join([*lines, "", ""]).encode())
            found.append(file.readline().decode().strip())
            length = 0
            while (line := file.readline()).strip():
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            file.read(length)
        return found


TCP = "\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1"


def test_every_request_gets_the_status_it_deserves(camera: RtspCamera) -> None:
    statuses = ask(
        camera,
        "OPTIONS {url}",
        "DESCRIBE {url}",
        "DESCRIBE {url}/nothing",
        "PLAY {url}",
        "PAUSE {url}",
        "RECORD {url}",
        "SETUP {url}/trackID=0\nTransport: RTP/AVP;multicast",
        "SETUP {url}/trackID=0" + TCP,
        "SETUP {url}/trackID=0" + TCP,
        "GET_PARAMETER {url}",
        "PAUSE {url}",
        "PLAY {url}\nSession: made-up",
        "TEARDOWN {url}",
    )
    codes = [int(status.split()[1]) for status in statuses]
    assert codes == [200, 200, 404, 455, 455, 405, 461, 200, 459, 200, 200, 454, 200]


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" * 50 + b"\r\n\r\n",
        b"x" * 40_000,
        b"DESCRIBE rtsp://cam/ RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n",
        b"$\x00\xff\xff",
    ],
)
def test_garbage_ends_the_connection_and_nothing_else(camera: RtspCamera, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", camera.port), timeout=60) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert ask(camera, "OPTIONS {url}") == ["RTSP/1.0 200 OK"]


def test_there_are_only_so_many_seats() -> None:
    with rtsp_camera(seats=Seats(1)) as camera:
        set_up = "SETUP {url}/trackID=0" + TCP
        with socket.create_connection(("127.0.0.1", camera.port), timeout=60) as client:
            request = f"SETUP {camera.url()}/trackID=0 RTSP/1.0\r\nCSeq: 1{TCP}\r\n\r\n"
            client.sendall(request.replace("1\nT", "1\r\nT").encode())
            assert client.recv(20).startswith(b"RTSP/1.0 200")
            assert ask(camera, set_up) == ["RTSP/1.0 503 Service Unavailable"]
            assert camera.server.num_viewers == 1


def test_nothing_is_drawn_while_nobody_watches() -> None:
    pictures = NumberedPictures()
    with rtsp_camera(pictures) as camera:
        ask(camera, "DESCRIBE {url}", "SETUP {url}/trackID=0" + TCP, "TEARDOWN {url}")
        assert pictures.num_drawn == 0


@pytest.mark.parametrize("last", ["TEARDOWN", "PAUSE"])
def test_a_client_that_plays_and_stops_in_one_breath_watches_nothing(last: str) -> None:
    pictures = NumberedPictures()
    with (
        rtsp_camera(pictures) as camera,
        socket.create_connection(("127.0.0.1", camera.port), timeout=60) as client,
    ):
        set_up = "SETUP", f"/trackID=0 RTSP/1.0{TCP}"
        others = [(method, " RTSP/1.0") for method in ("PLAY", "PLAY", last)]
        lines = [f"{method} {camera.url()}{rest}\n\n" for method, rest in (set_up, *others)]
        client.sendall("".join(lines).replace("\n", "\r\n").encode())
        replies = b""
        while replies.count(b"RTSP/1.0 200") < len(lines):
            replies += client.recv(1000)
        assert ask(camera, "OPTIONS {url}") == ["RTSP/1.0 200 OK"]
        assert (pictures.num_watched, pictures.num_drawn) == (0, 0)


def udp_pair() -> tuple[socket.socket, socket.socket]:
    """Two neighbouring ports, the first even, to receive on."""
    while True:
        first, second = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        first.bind(("127.0.0.1", 0))
        first.settimeout(60)
        second.settimeout(60)
        port = first.getsockname()[1]
        with contextlib.suppress(OSError):
            second.bind(("127.0.0.1", port ^ 1))
            return (first, second) if port % 2 == 0 else (second, first)
        first.close()
        second.close()


def test_a_player_is_there_as_long_as_it_reports_and_no_longer() -> None:
    pictures = NumberedPictures()
    with (
        rtsp_camera(pictures, silence_s=1.0) as camera,
        socket.create_connection(("127.0.0.1", camera.port), timeout=60) as client,
        contextlib.ExitStack() as stack,
    ):
        media, reports = (stack.enter_context(one) for one in udp_pair())
        port = media.getsockname()[1]
        transport = f"Transport: RTP/AVP;unicast;client_port={port}-{port + 1}"
        for request in (f"SETUP {camera.url()}\r\n{transport}", f"PLAY {camera.url()}"):
            first, *rest = request.split("\r\n")
            client.sendall("\r\n".join([f"{first} RTSP/1.0", "CSeq: 1", *rest, "", ""]).encode())
            assert client.recv(1000).startswith(b"RTSP/1.0 200")
        sender_report, server = reports.recvfrom(1000)
        assert sender_report[1] == 200
        num_seen = pictures.num_drawn + 2.5 * pictures.fps
        while pictures.num_drawn < num_seen:
            media.recv(2000)
            reports.sendto(b"still here", server)
        assert camera.server.num_viewers == 1
        assert client.recv(1000) == b""
    assert (camera.server.num_viewers, pictures.num_watched) == (0, 0)


def test_paths_that_show_the_same_share_an_encoder() -> None:
    pictures = NumberedPictures(fps=100)
    with rtsp_camera(pictures) as camera:
        options = {"rtsp_transport": "tcp"}
        with (
            av.open(camera.url("/live"), options=options, timeout=30) as one,
            av.open(camera.url("/same"), options=options, timeout=30) as other,
        ):
            for container in (one, other):
                next(container.decode(video=0))
            assert pictures.num_watched == 1
            assert camera.server.num_viewers == 2


class Watcher:
    """A player that remembers what it was sent."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.is_ended = False
        self.changed = asyncio.Event()

    def send(self, unit: AccessUnit) -> None:
        self.units.append(unit)
        self.changed.set()

    def end(self) -> None:
        self.is_ended = True
        self.changed.set()

    async def has(self, count: int) -> None:
        while len(self.units) < count:
            self.changed.clear()
            await self.changed.wait()


async def test_one_encoder_serves_all_and_each_begins_with_a_key_frame() -> None:
    pictures = NumberedPictures(fps=200)
    broadcast = Broadcast(pictures)
    one, other = Watcher(), Watcher()
    broadcast.add(one)
    await one.has(5)
    broadcast.add(other)
    await other.has(5)
    broadcast.discard(one)
    num_seen = len(one.units)
    await other.has(10)
    assert len(one.units) == num_seen
    assert other.units[0].is_key or other.units[1].is_key
    assert set(other.units[1:3]) <= set(one.units)
    await broadcast.close()
    assert other.is_ended
    assert pictures.num_drawn <= len(one.units) + len(other.units) + 1


async def test_when_there_is_nothing_more_to_see_everybody_is_told() -> None:
    pictures = NumberedPictures(fps=200)
    broadcast, watcher = Broadcast(pictures), Watcher()
    broadcast.add(watcher)
    await watcher.has(2)
    pictures.is_over = True
    while not watcher.is_ended:
        watcher.changed.clear()
        await watcher.changed.wait()
    await broadcast.close()
    assert len(broadcast) == 0


class Broken(NumberedPictures):
    """A camera whose drawing fails."""

    def picture(self) -> U8:
        raise ZeroDivisionError


async def test_a_fault_of_ours_ends_the_watching_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broadcast, watcher = Broadcast(Broken()), Watcher()
    broadcast.add(watcher)
    await watcher.changed.wait()
    await broadcast.close()
    assert watcher.is_ended
    assert "code=server_error" in caplog.text


def test_there_are_only_so_many_connections() -> None:
    with rtsp_camera(seats=Seats(0)) as camera, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", camera.port)
        first = stack.enter_context(socket.create_connection(address, timeout=60))
        for _ in range(SPARE_CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=60))
        late = stack.enter_context(socket.create_connection(address, timeout=60))
        assert late.recv(10) == b""
        first.sendall(b"OPTIONS rtsp://cam/ RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert first.recv(20).startswith(b"RTSP/1.0 200")


class Narrow:
    """An outlet that is full when it is told to be."""

    def __init__(self) -> None:
        self.is_full = False
        self.num_sent = 0
        self.num_reports = 0

    def is_ready(self) -> bool:
        return not self.is_full

    def send(self, packets: list[bytes]) -> None:
        self.num_sent += 1

    def send_report(self, report: bytes) -> None:
        self.num_reports += 1

    def close(self) -> None:
        pass


def test_a_slow_player_misses_pictures_up_to_the_next_key_frame() -> None:
    outlet = Narrow()
    player = RtpPlayer(outlet, lambda: None)
    sent = []
    for index, is_key in enumerate([False, True, False, False, False, True, True, False]):
        outlet.is_full = index in (3, 5)
        before = outlet.num_sent
        player.send(AccessUnit((b"\x41p",), index, is_key))
        if outlet.num_sent > before:
            sent.append(index)
    assert sent == [1, 2, 6, 7]
    assert outlet.num_reports == 1


async def test_what_a_reader_does_not_read_is_bounded() -> None:
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    player = RtpPlayer(InterleavedOutlet(writer, 0), lambda: None)
    for index in range(3000):
        player.send(AccessUnit((b"\x65" + os.urandom(20_000),), index, True))
    assert writer.transport.get_write_buffer_size() < 2_000_000
    writer.transport.abort()
    reader.feed_eof()
    for one in taken:
        one.transport.abort()
    server.close()
