"""Files as cameras: what is opened, and what is not."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from contracts.errors import (
    SourceError,
    SourceNotPermitted,
    SourceUnreachable,
    SourceUnsupported,
)
from live.sources.connection import Connection, times_of
from live.sources.stop_signal import StopSignal
from live.sources.video_file import open_file
from tests.live.pictures import video


def opened(path: Path) -> Connection:
    return open_file(path, silence_s=10, stop=StopSignal())


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("mp4", "libx264", "h264"),
        ("matroska", "libx264", "h264"),
        ("mpegts", "libx264", "h264"),
        ("avi", "mjpeg", "mjpeg"),
    ],
)
def test_a_file_gives_its_packets_in_order(
    tmp_path: Path, container: str, codec: str, name: str
) -> None:
    path = tmp_path / "clip"
    video(range(30), target=path, container=container, codec=codec)
    connection = opened(path)
    times = [times_of(packet)[0] for packet in connection.packets()]
    connection.close()
    assert len(times) == 30
    assert times == sorted(times, key=lambda time_s: time_s or 0.0)
    assert connection.facts.codec == name
    assert connection.facts.declared_fps == pytest.approx(30)
    assert connection.facts.is_finite


def test_reading_ends_when_the_capture_stops(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video(range(30), target=path)
    num_read, stop = 0, StopSignal()
    connection = open_file(path, silence_s=10, stop=stop)
    for _ in connection.packets():
        num_read += 1
        if num_read == 5:
            stop.set()
    connection.close()
    assert num_read == 5


def test_nothing_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video(range(30), target=path)
    opened(path).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        connection = opened(path)
        list(connection.packets())
        connection.close()
    assert len(os.listdir("/proc/self/fd")) == before


def refused(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        opened(path)
    assert str(path) not in str(caught.value)
    return caught.value


def test_a_file_that_is_not_there_may_come(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path / "none.mp4"), SourceUnreachable)


def test_a_link_put_there_after_the_check_is_not_followed(tmp_path: Path) -> None:
    video(range(5), target=tmp_path / "clip.mp4")
    (tmp_path / "link.mp4").symlink_to("clip.mp4")
    assert isinstance(refused(tmp_path / "link.mp4"), SourceUnreachable)


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(5000), b"ffconcat version 1.0\nfile clip.mp4\n"]
)
def test_what_is_no_video_is_refused_for_good(tmp_path: Path, content: bytes) -> None:
    video(range(5), target=tmp_path / "clip.mp4")
    path = tmp_path / "x.ffconcat"
    path.write_bytes(content)
    assert isinstance(refused(path), SourceUnsupported)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_a_playlist_reads_no_other_file(tmp_path: Path, name: str) -> None:
    video(range(5), target=tmp_path / "clip.ts", container="mpegts")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:5", "#EXTINF:5,", "clip.ts", "#EXT-X-ENDLIST", ""]
    path = tmp_path / name
    path.write_text("\n".join(lines))
    assert isinstance(refused(path), SourceUnsupported)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav.mkv"
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        sound.sample_rate = 8000
        output.mux(stream.encode(sound))
    assert refused(path).args == ("the source sends no video",)


def test_a_file_cut_before_its_first_packet_is_refused_for_good(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(video(range(5), container="matroska")[:300])
    assert isinstance(refused(path), SourceUnsupported)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    video(range(5), target=path)
    path.chmod(0)
    assert isinstance(refused(path), SourceNotPermitted)
