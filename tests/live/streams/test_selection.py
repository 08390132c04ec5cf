"""Which frames a question sees."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.streams import LookBack
from live.streams.ring_buffer import RingBuffer
from live.streams.selection import read_clip, select_entries, spread

EPOCH = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)


def ring_of(*times_s: float, shape: tuple[int, int, int] = (8, 12, 3)) -> RingBuffer:
    ring = RingBuffer(seconds=60, max_bytes=16_000_000)
    for time_s in times_s:
        ring.append(np.zeros(shape, np.uint8), time_s, EPOCH + timedelta(seconds=time_s))
    return ring


@pytest.mark.parametrize(
    ("times_s", "count", "places"),
    [
        ([5.0], 1, [0]),
        ([5.0], 4, [0]),
        ([0.0, 1.0, 2.0, 3.0], 1, [3]),
        ([0.0, 1.0, 2.0, 3.0], 2, [0, 3]),
        ([0.0, 1.0, 2.0, 3.0, 4.0], 3, [0, 2, 4]),
        ([0.0, 1.0, 2.0, 3.0], 9, [0, 1, 2, 3]),
        ([0.0, 0.1, 0.2, 0.3, 10.0], 3, [0, 3, 4]),  # a gap: the nearest, and none twice
        ([0.0, 9.7, 9.8, 9.9, 10.0], 4, [0, 1, 2, 4]),
        ([0.0, 0.1, 0.2, 10.0], 4, [0, 1, 2, 3]),
    ],
)
def test_frames_are_spread_evenly_with_the_newest(
    times_s: list[float], count: int, places: list[int]
) -> None:
    assert spread(times_s, count) == places


@pytest.mark.parametrize(
    ("look_back", "times_s"),
    [
        (LookBack(), [9.0]),
        (LookBack(None, 3), [7.0, 8.0, 9.0]),
        (LookBack(None, 99), [float(t) for t in range(10)]),
        (LookBack(0.0, 4), [9.0]),
        (LookBack(4.0, 3), [5.0, 7.0, 9.0]),
        (LookBack(4.0, 99), [5.0, 6.0, 7.0, 8.0, 9.0]),
        (LookBack(99.0, 2), [0.0, 9.0]),
    ],
)
def test_a_look_back_selects(look_back: LookBack, times_s: list[float]) -> None:
    entries = ring_of(*map(float, range(10))).entries
    assert [entry.time_s for entry in select_entries(entries, look_back)] == times_s


def test_an_empty_buffer_gives_no_clip() -> None:
    assert select_entries((), LookBack(5.0, 4)) == ()
    clip = read_clip(ring_of(), LookBack(), size_wh=(12, 8), codec="h264", source_fps=None)
    assert clip is None


def test_frames_of_another_shape_are_left_out() -> None:
    ring = ring_of(0.0, 1.0)
    ring.append(np.zeros((6, 4, 3), np.uint8), 2.0, EPOCH)
    entries = ring.entries
    assert [entry.time_s for entry in select_entries(entries, LookBack(9.0, 9))] == [2.0]
    assert [entry.time_s for entry in select_entries(entries, LookBack(None, 9))] == [2.0]


def test_a_clip_counts_from_its_first_frame_and_keeps_moments_and_numbers() -> None:
    ring = ring_of(3.0, 4.0, 5.0, 6.0)
    clip = read_clip(ring, LookBack(2.0, 3), size_wh=(1920, 1080), codec="h264", source_fps=25.0)
    assert clip is not None
    assert clip.frame_times_s == (0.0, 1.0, 2.0)
    assert [frame.captured_at for frame in clip.frames] == [
        EPOCH + timedelta(seconds=s) for s in (4, 5, 6)
    ]
    assert [frame.sequence for frame in clip.frames] == [2, 3, 4]
    assert (clip.duration_s, clip.end_s, clip.num_source_frames) == (2.0, 2.0, 4)
    assert (clip.width, clip.height, clip.codec, clip.source_fps) == (1920, 1080, "h264", 25.0)
    assert clip.sampled_by == "live"
