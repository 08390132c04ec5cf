"""Clips as evidence."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import av
import pytest

from contracts.media import Frame
from contracts.streams import ClipSpan
from live.capture.sampler import to_rgb
from live.streams.clip_writer import write_clip
from tests.live.clocks import EPOCH
from tests.live.pictures import number_of, numbered

TIMES_S = [5.0, 5.25, 5.5, 6.7, 7.0]


def frames(size_wh: tuple[int, int] = (128, 96)) -> Iterator[Frame]:
    for index, time_s in enumerate(TIMES_S):
        yield Frame(numbered(index, size_wh), time_s, EPOCH + timedelta(seconds=time_s), index)


@pytest.mark.parametrize("size_wh", [(128, 96), (129, 97)])
def test_frames_are_shown_at_their_times(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    path = tmp_path / "clip.mp4"
    span = write_clip(frames(size_wh), path)
    first, last = (EPOCH + timedelta(seconds=time_s) for time_s in (5, 7))
    assert span == ClipSpan(first, last, 5)
    with av.open(str(path), "r") as container:
        shown = list(container.decode(video=0))
        assert container.duration == 2_300_000  # the last stays as long as the one before
    assert [number_of(to_rgb(frame)) for frame in shown] == [0, 1, 2, 3, 4]
    assert [frame.time for frame in shown] == pytest.approx([t - 5 for t in TIMES_S])


def test_browsers_can_begin_before_they_have_it_all(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(frames(), path)
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]


def test_pictures_of_another_size_are_fitted(tmp_path: Path) -> None:
    mixed = [Frame(numbered(i, size), float(i), EPOCH, i) for i, size in enumerate([(128, 96)] * 2)]
    mixed.append(Frame(numbered(2, (256, 192)), 2.0, EPOCH, 2))
    path = tmp_path / "clip.mp4"
    assert write_clip(mixed, path) is not None
    with av.open(str(path), "r") as container:
        assert [number_of(to_rgb(one)) for one in container.decode(video=0)] == [0, 1, 2]


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert write_clip(list(frames())[:1], path) is not None
    with av.open(str(path), "r") as container:
        assert container.duration == 250_000


def test_without_frames_there_is_no_file(tmp_path: Path) -> None:
    assert write_clip([], tmp_path / "clip.mp4") is None
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_fails_leaves_nothing_behind_and_the_old_one_in_place(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")

    def broken() -> Iterator[Frame]:
        yield next(frames())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_clip(broken(), path)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]
