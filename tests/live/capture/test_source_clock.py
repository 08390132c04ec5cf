"""When pictures were captured."""

import pytest

from live.capture.source_clock import NUM_PACKETS, SourceClock

FRAME_S = 1 / 30


def test_a_picture_that_comes_at_once_was_captured_when_it_came() -> None:
    clock = SourceClock()
    for index in range(10):
        clock.observe(index * FRAME_S, 50 + index * FRAME_S)
        assert clock.captured_s(index * FRAME_S, 50 + index * FRAME_S) == pytest.approx(
            50 + index * FRAME_S
        )
    assert clock.lag_s() == pytest.approx(0)


def test_pictures_that_waited_are_as_old_as_they_are() -> None:
    clock = SourceClock()
    for index in range(90):
        clock.observe(index * FRAME_S, 50 + index * FRAME_S)
    held_up_until_s = 50 + 90 * FRAME_S + 3
    clock.observe(90 * FRAME_S, held_up_until_s)
    assert clock.lag_s() == pytest.approx(3)
    assert clock.captured_s(90 * FRAME_S, held_up_until_s) == pytest.approx(53)


def test_moments_only_grow_and_never_lie_ahead() -> None:
    clock = SourceClock()
    last_s = 0.0
    for source_s, now_s in [(0, 10.5), (0.1, 10.5), (0.2, 10.5), (0.1, 10.6), (5.0, 10.7)]:
        clock.observe(source_s, now_s)
        captured_s = clock.captured_s(source_s, now_s)
        assert last_s < captured_s <= now_s + 1e-3
        last_s = captured_s


def test_times_that_jump_begin_anew() -> None:
    clock = SourceClock()
    clock.observe(0.0, 100.0)
    clock.observe(50_000.0, 100.1)
    assert clock.lag_s() == 0
    assert clock.captured_s(50_000.0, 100.1) == pytest.approx(100.1)


@pytest.mark.parametrize("speed", [0.5, 0.99, 1.01, 2.0])
def test_a_source_whose_clock_is_wrong_does_not_look_late_for_ever(speed: float) -> None:
    clock = SourceClock()
    for index in range(3000):
        clock.observe(index * FRAME_S * speed, 50 + index * FRAME_S)
    slow = max(0.0, 1 - speed)
    assert clock.lag_s() <= slow * NUM_PACKETS * FRAME_S + 1e-9


def test_without_times_now_counts() -> None:
    clock = SourceClock()
    clock.observe(None, 7.0)
    assert clock.captured_s(None, 7.0) == 7.0
    assert clock.lag_s() == 0
