"""URLs of sources: taken apart, hidden, compared."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.errors import StreamUrlNotAllowed
from contracts.streams import StreamConfig
from live.sources.source import Source, parse_source

NOW = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)


def source(url: str, username: str | None = None, password: str | None = None) -> Source:
    return parse_source(StreamConfig("door", url, NOW, username=username, password=password))


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("rtsp://10.0.0.7/h264", "rtsp", "rtsp://10.0.0.7/h264"),
        ("RTSP://ann:sesame@10.0.0.7:8554/h264", "rtsp", "rtsp://***@10.0.0.7:8554/h264"),
        ("rtsp://ann@cam.lan/", "rtsp", "rtsp://***@cam.lan/"),
        ("rtsps://[fd00::7]/a", "rtsp", "rtsps://[fd00::7]/a"),
        ("rtsp://ann:se:s@me@cam/1", "rtsp", "rtsp://***@cam/1"),
        ("rtsp://cam/user=ann_password=sesame_1.sdp", "rtsp", "rtsp://cam/user=***"),
        ("rtsp://cam/live?ch=1&pw=sesame", "rtsp", "rtsp://cam/live?ch=***&pw=***"),
        ("https://cam/a.m3u8?sesame#sesame", "http", "https://cam/a.m3u8?***"),
        ("v4l2:///dev/video0", "v4l2", "v4l2:///dev/video0"),
        ("file:///srv/clips/a%20b.mp4", "file", "file:///srv/clips/a%20b.mp4"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, kind: str, shown: str) -> None:
    parsed = source(url)
    assert (parsed.kind, parsed.shown) == (kind, shown)
    assert "sesame" not in repr(parsed)


def test_credentials_beside_the_url_are_hidden_and_win() -> None:
    parsed = source("rtsp://bob:poppy@cam/1", "ann", "sesame")
    assert parsed.shown == "rtsp://***@cam/1"
    assert (parsed.username, parsed.password) == ("ann", "sesame")
    assert not {"ann", "sesame", "poppy"} & set(repr(parsed).split("'"))


@pytest.mark.parametrize(
    ("url", "host", "whole"),
    [
        ("rtsp://cam/1", "cam", "rtsp://cam:554/1"),
        ("rtsps://cam/1?a=b", "cam", "rtsps://cam:322/1?a=b"),
        ("rtsp://ann:p%40ss:w@cam:99/1", "cam", "rtsp://ann:p%40ss%3Aw@cam:99/1"),
        ("rtsp://ann@cam/1", "fd00::7", "rtsp://ann:@[fd00::7]:554/1"),
    ],
)
def test_ffmpeg_gets_a_url_with_the_credentials_escaped(url: str, host: str, whole: str) -> None:
    assert source(url).url_at(host) == whole


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rtsp://ann:sesame@Cam.lan/1", "rtsp://cam.lan.:554/1"),
        ("https://cam/1?a=b", "https://bob@cam:443/1?a=b"),
        ("rtsp://cam", "rtsp://cam/"),
        ("file:///srv/../srv/a.mp4", "file:///srv/a.mp4"),
        ("file:///srv/a%2Emp4", "file://localhost/srv/a.mp4"),
        ("v4l2:///dev/null", "v4l2:///dev/../dev/null"),
    ],
)
def test_two_urls_of_one_source_are_recognised(one: str, other: str) -> None:
    assert source(one).identity == source(other).identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rtsp://cam/1", "rtsp://cam/2"),
        ("rtsp://cam/?ch=1", "rtsp://cam/?ch=2"),
        ("rtsp://cam/", "rtsp://cam:8554/"),
        ("v4l2:///dev/null", "v4l2:///dev/zero"),
        ("v4l2:///dev/video98", "v4l2:///dev/video99"),
    ],
)
def test_two_sources_are_kept_apart(one: str, other: str) -> None:
    assert source(one).identity != source(other).identity


def test_a_link_to_a_file_is_the_same_source(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    one, other = (source(f"file://{tmp_path}/{name}.mp4") for name in "ab")
    assert one.identity == other.identity


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cam",
        "/dev/video0",
        "csi://0",
        "data:video/mp4;base64,AAAA",
        "rtsp://",
        "rtsp:///h264",
        "rtsp://cam:port/",
        "rtsp://cam:99999/",
        "rtsp://[fd00/",
        "v4l2://dev/video0",
        "file://host/srv/a.mp4",
        "rtsp://***@10.0.0.7/h264",
    ],
)
def test_what_is_no_source_is_refused_and_not_echoed(url: str) -> None:
    with pytest.raises(StreamUrlNotAllowed) as caught:
        source(url)
    assert caught.value.param == "url"
    assert not url or url not in caught.value.message
