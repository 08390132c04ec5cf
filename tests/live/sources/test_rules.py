"""Which sources are permitted."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.errors import SourceNotPermitted, SourceUnreachable
from contracts.streams import StreamConfig
from contracts.web import WebAnswer
from live.sources.rules import HostRules, SourceRules, check_device
from live.sources.source import Source, parse_source

NOW = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)
LISTED = ("10.0.0.0/8", "Cam.lan.", "fd00::/8")


class OnlyExample:
    """Permits one host."""

    def check(self, url: str) -> None:
        if "example.org" not in url:
            raise SourceNotPermitted("the host is not example.org")

    def get(self, url: str, *, headers: Mapping[str, str], timeout_s: float) -> WebAnswer:
        raise AssertionError("rules read nothing")


def source(url: str) -> Source:
    return parse_source(StreamConfig("door", url, NOW))


def rules(*allowed: str, root: Path | None = None) -> SourceRules:
    return SourceRules(HostRules.parse(allowed), root, OnlyExample())


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        (("*",), "anything.example"),
        (LISTED, "10.1.2.3"),
        (LISTED, "cam.LAN"),
        (LISTED, "fd00::1"),
        (LISTED, "a-name-that-may-be-in-the-networks.example"),
    ],
)
def test_a_host_may_be_a_camera(allowed: tuple[str, ...], host: str) -> None:
    HostRules.parse(allowed).check(host)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ((), "10.1.2.3"),
        ((), "cam.lan"),
        (LISTED, "192.168.0.1"),
        (LISTED, "::1"),
        (("cam.lan",), "other.lan"),
    ],
)
def test_a_host_may_not_be_a_camera(allowed: tuple[str, ...], host: str) -> None:
    with pytest.raises(SourceNotPermitted, match="VLM_STREAM_ALLOW"):
        HostRules.parse(allowed).check(host)


def test_a_listed_name_is_connected_to_by_name() -> None:
    assert HostRules.parse(LISTED).reach("cam.lan", 554) == "cam.lan"
    assert HostRules.parse(("*",)).reach("a.example", 554) == "a.example"


def test_in_a_listed_network_the_connection_goes_to_the_checked_address() -> None:
    assert HostRules.parse(("127.0.0.0/8", "::1")).reach("localhost", 554) in ("127.0.0.1", "::1")


def test_a_name_whose_address_is_not_listed_is_not_permitted() -> None:
    with pytest.raises(SourceNotPermitted):
        HostRules.parse(LISTED).reach("localhost", 554)


def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(SourceUnreachable):
        HostRules.parse(LISTED).reach("no-such-host.invalid", 554)


def test_web_sources_are_left_to_the_rules_of_the_web() -> None:
    rules().check(source("https://example.org/a.m3u8"))
    with pytest.raises(SourceNotPermitted):
        rules().check(source("https://other.example/a.m3u8"))


def test_a_file_inside_the_root_may_be_played(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    rules(root=tmp_path).check(source(f"file://{tmp_path}/a.mp4"))
    rules(root=tmp_path).check(source(f"file://{tmp_path}/not-there-yet.mp4"))


@pytest.mark.parametrize("path", ["root/../b.mp4", "b.mp4", "root/link.mp4", "../etc/passwd"])
def test_a_file_outside_the_root_may_not(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "b.mp4").touch()
    (root / "link.mp4").symlink_to(tmp_path / "b.mp4")
    with pytest.raises(SourceNotPermitted, match="not inside VLM_STREAM_ROOT"):
        rules(root=root).check(source(f"file://{tmp_path}/{path}"))


def test_without_a_root_no_file_may(tmp_path: Path) -> None:
    with pytest.raises(SourceNotPermitted, match="VLM_STREAM_ROOT is not set"):
        rules().check(source(f"file://{tmp_path}/a.mp4"))


def test_a_camera_that_is_unplugged_is_permitted() -> None:
    check_device("/dev/video97")
    check_device("/dev/v4l/by-id/usb-Some_Camera-video-index0")


@pytest.mark.parametrize(
    "path", ["/dev/null", "/dev/video", "/dev/video0/../sda", "/dev/v4l/by-id/../../sda", "/video0"]
)
def test_only_names_of_cameras_are(path: str) -> None:
    with pytest.raises(SourceNotPermitted, match="v4l2:///dev/video0"):
        check_device(path)


def test_rules_look_at_the_kind_of_the_source() -> None:
    rules("*").check(source("rtsp://cam/1"))
    rules().check(source("v4l2:///dev/video97"))
    with pytest.raises(SourceNotPermitted):
        rules().check(source("rtsp://cam/1"))
    with pytest.raises(SourceNotPermitted):
        rules().check(source("v4l2:///dev/null"))
