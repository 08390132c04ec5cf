"""Notes of a capture, and what is told of them."""

import pytest

from contracts.streams import StreamState
from live.capture.tracker import Tracker
from live.streams.state import Standing, StateLimits
from tests.live.clocks import HandClock

LIMITS = StateLimits(fresh_s=10, lost_s=30)


class Told:
    """What a tracker told."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.befores: list[str | None] = []

    def __call__(self, before: StreamState | None, standing: Standing) -> None:
        self.befores.append(before)
        self.states.append(standing.state)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def tracker(clock: HandClock, told: Told) -> Tracker:
    tracker = Tracker(clock, LIMITS, told)
    tracker.observe()
    return tracker


def run(tracker: Tracker, clock: HandClock) -> None:
    tracker.connected("h264", 25.0)
    tracker.captured(clock.now_s, (64, 48))


def test_every_change_is_told_once_with_what_was_before(
    tracker: Tracker, clock: HandClock, told: Told
) -> None:
    run(tracker, clock)
    tracker.captured(clock.now_s, (64, 48))
    tracker.gone("cut off", retry_in_s=0.5)
    tracker.gone("cut off", retry_in_s=1.0)
    tracker.retrying()
    run(tracker, clock)
    tracker.ended("played out")
    assert told.states == ["connecting", "running", "lost", "connecting", "running", "ended"]
    assert told.befores == [None, *told.states[:-1]]


def test_what_time_alone_brings_is_told_when_somebody_looks(
    tracker: Tracker, clock: HandClock, told: Told
) -> None:
    run(tracker, clock)
    for seconds in (9, 2, 2, 30, 30):
        clock.now_s += seconds
        tracker.observe()
    assert told.states[1:] == ["running", "stalled", "lost"]


def test_a_stalled_source_runs_again_with_its_next_picture(
    tracker: Tracker, clock: HandClock, told: Told
) -> None:
    run(tracker, clock)
    clock.now_s += 11
    tracker.observe()
    tracker.connected("h264", 25.0)
    assert tracker.standing.state is StreamState.STALLED
    tracker.captured(clock.now_s, (64, 48))
    assert told.states[1:] == ["running", "stalled", "running"]
    assert tracker.standing.since_s == clock.now_s
    assert tracker.figures.num_reconnects == 0


def test_coming_back_is_counted(tracker: Tracker, clock: HandClock) -> None:
    run(tracker, clock)
    for _ in range(3):
        tracker.gone("cut off", retry_in_s=0.5)
        run(tracker, clock)
    assert tracker.figures.num_reconnects == 3
    assert tracker.figures.num_captured == 4


def test_a_retry_that_waits_is_known(tracker: Tracker, clock: HandClock) -> None:
    tracker.gone("cut off", retry_in_s=4.0)
    assert tracker.facts.retry_at_s == clock.now_s + 4
    tracker.retrying()
    assert tracker.facts.retry_at_s is None


def test_a_retired_tracker_tells_nothing(tracker: Tracker, clock: HandClock, told: Told) -> None:
    tracker.retire()
    run(tracker, clock)
    assert told.states == ["connecting"]


def test_the_rate_is_a_count_over_a_span(tracker: Tracker, clock: HandClock) -> None:
    assert tracker.measured_fps is None
    for _ in range(500):
        tracker.heard()
        clock.now_s += 0.04
    assert tracker.measured_fps == pytest.approx(25, abs=0.5)
    clock.now_s += 11
    assert tracker.measured_fps is None


def test_sizes_and_codecs_are_known_as_soon_as_they_are(tracker: Tracker, clock: HandClock) -> None:
    tracker.connected("hevc", None)
    assert (tracker.figures.codec, tracker.figures.size_wh) == ("hevc", None)
    tracker.captured(clock.now_s, (1920, 1080))
    assert tracker.figures.size_wh == (1920, 1080)
