"""Which frames are kept."""

import pytest

from live.capture.sample_grid import SampleGrid


def kept(times_s: list[float], interval_s: float, keys: frozenset[int] = frozenset()) -> list[int]:
    grid = SampleGrid()
    chosen = []
    for index, time_s in enumerate(times_s):
        if grid.is_due(time_s, interval_s, is_key=index in keys):
            grid.take(time_s, interval_s)
            chosen.append(index)
    return chosen


def at_30_fps(num_frames: int) -> list[float]:
    return [index / 30 for index in range(num_frames)]


@pytest.mark.parametrize(
    ("interval_s", "indices"),
    [
        (0.5, [0, 15, 30, 45]),
        (0.25, [0, 8, 15, 23, 30, 38, 45, 53]),  # the grid is kept, so the rate is right
        (1 / 30, list(range(60))),
        (1 / 60, list(range(60))),
        (10.0, [0]),
    ],
)
def test_frames_on_the_grid_are_kept(interval_s: float, indices: list[int]) -> None:
    assert kept(at_30_fps(60), interval_s) == indices


def test_a_key_frame_may_be_taken_a_little_early() -> None:
    keys = frozenset({0, 28, 56})
    assert kept(at_30_fps(60), 1.0, keys) == [0, 28, 56]
    assert kept(at_30_fps(60), 1.0) == [0, 30]


def test_early_key_frames_do_not_raise_the_rate() -> None:
    keys = frozenset(range(0, 9000, 27))  # every 0.9 s
    assert 295 <= len(kept(at_30_fps(9000), 1.0, keys)) <= 305


def test_after_a_pause_the_grid_begins_anew() -> None:
    assert kept([0.0, 0.1, 7.3, 7.4, 7.8], 0.5) == [0, 2, 4]


def test_after_times_that_jump_back_the_grid_begins_anew() -> None:
    assert kept([100.0, 100.1, 3.0, 3.1, 3.5], 0.5) == [0, 2, 4]


def test_a_little_disorder_keeps_nothing_twice() -> None:
    assert kept([0.0, 0.5, 0.4, 0.3, 0.6, 1.0], 0.5) == [0, 1, 5]


def test_the_rate_may_change() -> None:
    grid = SampleGrid()
    grid.take(0.0, 10.0)
    assert not grid.is_due(1.0, 10.0, is_key=False)
    assert grid.is_due(1.0, 0.2, is_key=False)  # its next place lies too far ahead of this rate
