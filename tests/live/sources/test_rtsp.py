"""Our client against our server, both real, on loopback."""

import os
import socket
import ssl
import threading
from datetime import UTC, datetime
from itertools import islice

import psutil
import pytest

from contracts.errors import (
    SourceError,
    SourceNotPermitted,
    SourceStalled,
    SourceUnauthorized,
    SourceUnreachable,
)
from contracts.media import U8
from contracts.streams import StreamConfig
from live.capture.sampler import to_rgb
from live.sources.connection import Connection
from live.sources.rtsp import open_rtsp
from live.sources.rules import HostRules
from live.sources.source import parse_source
from live.sources.stop_signal import StopSignal
from tests.live.pictures import number_of
from tests.live.rtsp_cameras import NumberedPictures, rtsp_camera

NOW = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)
BOTH = frozenset({"tcp", "udp"})


def opened(
    url: str,
    *,
    allow: tuple[str, ...] = ("*",),
    silence_s: float = 20,
    stop: StopSignal | None = None,
) -> Connection:
    source = parse_source(StreamConfig("cam", url, NOW))
    return open_rtsp(source, HostRules.parse(allow), silence_s=silence_s, stop=stop or StopSignal())


def numbers(connection: Connection, count: int) -> list[int]:
    found: list[int] = []
    for packet in connection.packets():
        found += [number_of(to_rgb(frame)) for frame in connection.decoder.decode(packet)]
        if len(found) >= count:
            return found
    raise AssertionError(f"the source ended after {len(found)} pictures")


def refused(url: str, **options: tuple[str, ...]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        opened(url, **options)  # type: ignore[arg-type]
    assert "sesame" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("transports", [BOTH, frozenset({"tcp"}), frozenset({"udp"})])
def test_pictures_come_in_order_from_the_first_one_on(transports: frozenset[str]) -> None:
    with rtsp_camera(transports=transports) as camera:
        connection = opened(camera.url())
        seen = numbers(connection, 40)
        connection.close()
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert seen[0] <= 3
    assert connection.facts.codec == "h264"
    assert connection.facts.declared_fps == pytest.approx(30)
    assert not connection.facts.is_finite


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("transports", [frozenset({"tcp"}), frozenset({"udp"})])
def test_ipv6_is_spoken(transports: frozenset[str]) -> None:
    with rtsp_camera(host="::1", transports=transports) as camera:
        connection = opened(camera.url(), allow=("::1",))
        assert len(numbers(connection, 5)) >= 5
        connection.close()


def test_tcp_comes_first() -> None:
    with rtsp_camera() as camera:
        connection = opened(camera.url())
        numbers(connection, 3)
        assert psutil.Process().net_connections("udp") == []
        connection.close()


@pytest.mark.parametrize("password", ["sesame", "s:e@s/a?m#e", "ses%41me ü"])
def test_a_camera_may_want_a_password(password: str) -> None:
    with rtsp_camera(passwords=(password,)) as camera:
        config = StreamConfig("cam", camera.url(), NOW, username="lookout", password=password)
        hosts = HostRules.parse(("*",))
        connection = open_rtsp(parse_source(config), hosts, silence_s=20, stop=StopSignal())
        assert len(numbers(connection, 3)) >= 3
        connection.close()


@pytest.mark.parametrize("login", ["", "lookout:sesame@", "ann:poppy@"])
def test_wrong_credentials_are_refused_and_told_nowhere(
    login: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with rtsp_camera(passwords=("poppy",)) as camera:
        error = refused(camera.url(login=login))
    assert isinstance(error, SourceUnauthorized)
    printed = capfd.readouterr()
    assert "sesame" not in printed.out + printed.err + caplog.text


def test_a_path_that_is_not_there_may_come() -> None:
    with rtsp_camera() as camera:
        assert isinstance(refused(camera.url("/other")), SourceUnreachable)


def test_a_port_that_is_closed_may_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert isinstance(refused(f"rtsp://lookout:sesame@127.0.0.1:{port}/"), SourceUnreachable)


def test_a_host_that_speaks_something_else_is_no_camera() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hello = threading.Thread(target=say_hello, args=(server,))
        hello.start()
        url = f"rtsp://lookout:sesame@127.0.0.1:{server.getsockname()[1]}/"
        assert isinstance(refused(url), SourceUnreachable)
        hello.join(60)
        assert not hello.is_alive()


def say_hello(server: socket.socket) -> None:
    client, _ = server.accept()
    client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    client.close()


@pytest.mark.slow
def test_a_host_that_says_nothing_is_waited_for_no_longer_than_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtsp://lookout:sesame@127.0.0.1:{server.getsockname()[1]}/"
        assert isinstance(refused(url), SourceUnreachable)


def test_a_host_that_is_not_listed_is_not_asked() -> None:
    with rtsp_camera() as camera:
        error = refused(camera.url(), allow=("10.0.0.0/8",))
    assert isinstance(error, SourceNotPermitted)


def test_tls_is_spoken(tls: ssl.SSLContext) -> None:
    with rtsp_camera(tls=tls) as camera:
        connection = opened(camera.url(scheme="rtsps"))
        assert len(numbers(connection, 10)) >= 10
        connection.close()


class Freezing(NumberedPictures):
    """A camera that hangs after so many pictures, until it is let go on."""

    def __init__(self, num_pictures: int) -> None:
        super().__init__()
        self.num_pictures = num_pictures
        self.goes_on = threading.Event()

    def picture(self) -> U8:
        if self.num_drawn >= self.num_pictures:
            self.goes_on.wait(60)
        return super().picture()


def test_a_camera_that_hangs_is_silent_not_gone() -> None:
    pictures = Freezing(20)
    with rtsp_camera(pictures) as camera:
        connection = opened(camera.url(), silence_s=1.5)
        with pytest.raises(SourceStalled, match=r"sent nothing for 1\.5 s"):
            numbers(connection, 21)
        connection.close()
        pictures.goes_on.set()


@pytest.mark.slow
@pytest.mark.parametrize("transports", [frozenset({"tcp"}), frozenset({"udp"})])
def test_a_camera_that_only_paused_goes_on_in_step(transports: frozenset[str]) -> None:
    pictures = Freezing(20)
    with rtsp_camera(pictures, transports=transports) as camera:
        connection = opened(camera.url())
        packets = connection.packets()
        list(islice(packets, 20))
        pause = threading.Timer(3.5, pictures.goes_on.set)  # more than two spans of reading
        pause.start()
        assert len(list(islice(packets, 40))) == 40
        connection.close()
        pause.join()


def test_a_capture_that_stops_does_not_wait_for_a_camera_that_hangs() -> None:
    pictures, stop = Freezing(20), StopSignal()
    with rtsp_camera(pictures) as camera:
        connection = opened(camera.url(), stop=stop)
        ended = threading.Event()

        def read() -> None:
            for _ in connection.packets():
                pass
            connection.close()
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        stop.set()
        assert ended.wait(15)
        reader.join(15)
        pictures.goes_on.set()


def test_the_end_of_the_camera_is_the_end_of_the_packets() -> None:
    pictures = NumberedPictures()
    with rtsp_camera(pictures) as camera:
        connection = opened(camera.url())
        packets = connection.packets()
        list(islice(packets, 5))
        pictures.is_over = True
        assert len(list(packets)) < 1000
        connection.close()


def test_nothing_stays_open() -> None:
    with rtsp_camera() as camera:

        def once() -> int:
            connection = opened(camera.url())
            numbers(connection, 2)
            connection.close()
            return len(os.listdir("/proc/self/fd"))

        once()
        counts = [once() for _ in range(5)]
        assert max(counts) - min(counts) <= 1  # the server notices that somebody left a bit later
