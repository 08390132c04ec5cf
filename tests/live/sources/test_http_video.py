"""Sources over HTTP, from real hosts on loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from contracts.errors import (
    SourceError,
    SourceNotPermitted,
    SourceStalled,
    SourceUnauthorized,
    SourceUnreachable,
    SourceUnsupported,
)
from contracts.streams import StreamConfig
from live.capture.sampler import to_rgb
from live.http_digest import DigestGuard
from live.sources.connection import Connection
from live.sources.http_video import open_http
from live.sources.source import parse_source
from live.sources.stop_signal import StopSignal
from media.addresses import AddressRules
from media.web_client import GuardedWebClient
from tests.live.pictures import number_of, video
from tests.live.web_cameras import basic, guarded, hls, mjpeg
from tests.media.http_hosts import (
    Handler,
    Route,
    drip,
    redirect,
    respond,
    say_nothing,
    serving,
)

NOW = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)
GUARD = DigestGuard("camera", "ann", ("sesame",), b"secret")
SEGMENTS = {
    f"/{index}.ts": respond(video(range(index * 30, index * 30 + 30), container="mpegts"))
    for index in range(4)
}
NAMES = [name.removeprefix("/") for name in SEGMENTS]


@contextmanager
def opened(
    routes: dict[str, Route],
    path: str = "/cam",
    *,
    allow: tuple[str, ...] = ("127.0.0.1",),
    silence_s: float = 20,
    open_s: float = 20,
    stop: StopSignal | None = None,
    username: str | None = None,
    password: str | None = None,
) -> Iterator[Connection]:
    with serving(routes) as host:
        config = StreamConfig("cam", host.url(path), NOW, username=username, password=password)
        client = GuardedWebClient(AddressRules.parse(allow))
        connection = open_http(
            parse_source(config),
            client,
            silence_s=silence_s,
            stop=stop or StopSignal(),
            open_s=open_s,
        )
        try:
            yield connection
        finally:
            connection.close()


def numbers(connection: Connection, count: int) -> list[int]:
    found = []
    for packet in connection.packets():
        found += [number_of(to_rgb(frame)) for frame in connection.decoder.decode(packet)]
        if len(found) >= count:
            break
    return found


def refused(routes: dict[str, Route], path: str = "/cam", **options: object) -> SourceError:
    with pytest.raises(SourceError) as caught, opened(routes, path, **options):  # type: ignore[arg-type]
        pass
    assert "127.0.0.1" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("has_lengths", [True, False])
def test_mjpeg_comes_in_order_as_it_comes(has_lengths: bool) -> None:
    with opened({"/cam": mjpeg(has_lengths=has_lengths)}) as connection:
        assert numbers(connection, 20) == list(range(1, 21))
        facts = connection.facts
        assert (facts.codec, facts.declared_fps) == ("mjpeg", None)
        assert not facts.is_paced
        assert not facts.is_finite


def test_the_end_of_mjpeg_is_the_end_of_the_packets() -> None:
    with opened({"/cam": mjpeg(num_pictures=10)}) as connection:
        assert len(numbers(connection, 1000)) in (9, 10)


def test_a_recording_is_played_while_it_comes() -> None:
    clip = respond(video(range(40), container="matroska"), Content_Type="video/x-matroska")
    with opened({"/cam": clip}) as connection:
        assert connection.facts.is_paced
        assert connection.facts.is_finite
        assert numbers(connection, 1000) == list(range(40))


def test_a_live_transport_stream_has_no_end() -> None:
    with opened({"/cam": respond(video(range(40), container="mpegts"))}) as connection:
        assert connection.facts.is_paced
        assert not connection.facts.is_finite
        assert len(numbers(connection, 30)) >= 30


def test_hls_on_demand_is_played_to_its_end() -> None:
    with opened({"/cam": hls(NAMES), **SEGMENTS}) as connection:
        assert connection.facts.is_finite
        assert numbers(connection, 1000) == list(range(120))


def test_live_hls_begins_near_its_end_and_goes_on() -> None:
    with opened({"/cam": hls(NAMES, is_live=True), **SEGMENTS}) as connection:
        assert connection.facts.is_paced
        assert not connection.facts.is_finite
        seen = numbers(connection, 30)
        assert seen[0] >= 60
        assert seen == sorted(set(seen))


def test_the_best_variant_of_a_master_playlist_is_played() -> None:
    master = "\n".join(
        [
            "#EXTM3U",
            "#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=64x48",
            "/low",
            "#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=128x96",
            "/high",
        ]
    )
    routes = {"/cam": respond(master.encode()), "/high": hls(NAMES), **SEGMENTS}
    with opened(routes) as connection:
        assert numbers(connection, 5)[:5] == [0, 1, 2, 3, 4]


def test_redirects_are_followed() -> None:
    with opened({"/cam": redirect("/other"), "/other": mjpeg()}) as connection:
        assert numbers(connection, 2)[0] == 1


@pytest.mark.parametrize(
    "routes",
    [
        {"/cam": redirect("http://127.0.0.2/cam")},
        {"/cam": redirect("file:///etc/passwd")},
        {"/cam": hls(["http://127.0.0.2/0.ts"])},
        {"/cam": hls(["file:///etc/passwd"])},
        {"/cam": hls(["/hop"]), "/hop": redirect("http://127.0.0.2/0.ts")},
        {"/cam": respond(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.2/a\n")},
    ],
)
def test_nothing_leads_to_an_address_that_is_not_allowed(routes: dict[str, Route]) -> None:
    error = refused(routes)
    assert isinstance(error, (SourceNotPermitted, SourceUnreachable, SourceUnsupported)), error


def test_the_address_itself_is_checked() -> None:
    assert isinstance(refused({"/cam": mjpeg()}, allow=()), SourceNotPermitted)


@pytest.mark.parametrize(
    ("route", "error"),
    [
        (respond(b"", 404), SourceUnreachable),
        (respond(b"", 500), SourceUnreachable),
        (respond(b"", 403), SourceUnauthorized),
        (respond(b"", 401), SourceUnauthorized),
        (respond(b"hello", Content_Type="text/html"), SourceUnsupported),
        (respond(b"ffconcat version 1.0\nfile /etc/passwd\n"), SourceUnsupported),
        (respond(bytes(100_000)), SourceUnsupported),
        (hls([]), SourceError),
        (respond(b"#EXTM3U\n" + b"#" * (2 << 20)), SourceUnsupported),
    ],
)
def test_what_is_no_source_is_refused(route: Route, error: type[SourceError]) -> None:
    assert isinstance(refused({"/cam": route}), error)


@pytest.mark.parametrize("route", [say_nothing, drip])
def test_a_host_that_says_nothing_is_not_waited_for(route: Route) -> None:
    error = refused({"/cam": route}, silence_s=0.5, open_s=1.0)
    assert isinstance(error, (SourceStalled, SourceUnreachable, SourceUnsupported))


@pytest.mark.parametrize(
    "route",
    [guarded(mjpeg(), GUARD), basic(mjpeg(), "Basic YW5uOnNlc2FtZQ==")],
    ids=["digest", "basic"],
)
def test_a_camera_may_want_a_password(route: Route) -> None:
    with opened({"/cam": route}, username="ann", password="sesame") as connection:
        assert numbers(connection, 2)[0] == 1
    for username, password in (("ann", "hunter2"), (None, None)):
        error = refused({"/cam": route}, username=username, password=password)
        assert isinstance(error, SourceUnauthorized)


def test_segments_want_the_password_too() -> None:
    routes = {"/cam": hls(NAMES)} | SEGMENTS
    routes = {path: guarded(route, GUARD) for path, route in routes.items()}
    with opened(routes, username="ann", password="sesame") as connection:
        assert numbers(connection, 5)[:5] == [0, 1, 2, 3, 4]


def test_the_password_goes_to_no_other_host() -> None:
    with serving({"/1.ts": respond(b"")}) as other:
        elsewhere = other.url("/1.ts")
        routes = {"/cam": guarded(hls([elsewhere]), GUARD), "/hop": redirect(elsewhere)}
        refused(routes, username="ann", password="sesame")
        refused({"/cam": guarded(redirect(elsewhere), GUARD)}, username="ann", password="sesame")
        assert len(other.requests) >= 2
        assert all("authorization" not in headers for _, headers in other.requests)


def test_a_capture_that_stops_does_not_wait_for_a_camera_that_hangs() -> None:
    goes_on, stop = threading.Event(), StopSignal()
    route = mjpeg(num_pictures=5, goes_on=goes_on)
    with opened({"/cam": route}, stop=stop) as connection:
        packets = connection.packets()
        list(islice(packets, 4))
        threading.Timer(0.2, stop.set).start()
        with contextlib.suppress(SourceError):
            list(packets)
        goes_on.set()


def test_a_camera_that_falls_silent_is_stalled() -> None:
    goes_on = threading.Event()
    route = mjpeg(num_pictures=5, goes_on=goes_on)
    with opened({"/cam": route}, silence_s=1) as connection:
        with pytest.raises(SourceStalled):
            list(connection.packets())
        goes_on.set()


def test_nothing_stays_open() -> None:
    def once() -> int:
        with opened({"/cam": hls(NAMES), **SEGMENTS}) as connection:
            numbers(connection, 3)
        with opened({"/cam": mjpeg()}) as connection:
            numbers(connection, 3)
        return len(os.listdir("/proc/self/fd"))

    first = once()
    assert min(once() for _ in range(3)) <= first


@contextmanager
def ffmpeg(*arguments: str) -> Iterator[None]:
    """A real program that sends a test picture, while the block lasts."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=128x96:rate=15"]
    command = [program, "-v", "error", *source, *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def read_some(url: str) -> int:
    """Packets from a source that may not be there yet."""
    client = GuardedWebClient(AddressRules.parse(("127.0.0.1",)))
    source = parse_source(StreamConfig("cam", url, NOW))
    while True:
        try:
            connection = open_http(source, client, silence_s=20, stop=StopSignal())
        except SourceUnreachable:
            continue
        pictures = sum(
            len(connection.decoder.decode(packet)) for packet in islice(connection.packets(), 12)
        )
        connection.close()
        return pictures


def test_mjpeg_of_ffmpeg_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/cam"
    with ffmpeg("-f", "mpjpeg", "-listen", "1", url):
        assert read_some(url) >= 10


@pytest.mark.slow
def test_live_hls_of_ffmpeg_is_read(tmp_path: Path) -> None:
    options = ["-c:v", "libx264", "-g", "15", "-f", "hls", "-hls_time", "1"]

    def file(handler: Handler) -> None:
        content = tmp_path / handler.path.removeprefix("/")
        is_there = content.exists()
        respond(content.read_bytes() if is_there else b"", 200 if is_there else 404)(handler)

    names = ["/cam.m3u8", *(f"/cam{index}.ts" for index in range(99))]
    routes: dict[str, Route] = dict.fromkeys(names, file)
    with ffmpeg(*options, str(tmp_path / "cam.m3u8")), serving(routes) as host:
        assert read_some(host.url("/cam.m3u8")) >= 10
