"""States from facts and the time."""

from dataclasses import replace

import pytest

from contracts.streams import StreamState
from live.streams.state import Facts, Phase, Standing, StateLimits, standing_of

LIMITS = StateLimits(fresh_s=10, lost_s=30)
OPENING = Facts(Phase.OPENING, since_s=100)
CONNECTED = Facts(Phase.CONNECTED, since_s=100)
RUNNING = replace(CONNECTED, awaits_frame=False, fresh_since_s=101, last_frame_s=200)
GONE = replace(RUNNING, phase=Phase.GONE, since_s=205, reason="why", awaits_frame=True)


@pytest.mark.parametrize(
    ("facts", "now_s", "state", "since_s"),
    [
        (OPENING, 100, "connecting", 100),
        (OPENING, 129, "connecting", 100),
        (OPENING, 130, "lost", 130),  # a connection that hangs
        (CONNECTED, 129, "connecting", 100),
        (CONNECTED, 131, "lost", 130),
        (RUNNING, 200, "running", 101),
        (RUNNING, 210, "running", 101),
        (RUNNING, 211, "stalled", 210),
        (RUNNING, 239, "stalled", 210),
        (RUNNING, 241, "lost", 240),
        (GONE, 206, "lost", 205),
        (GONE, 4000, "lost", 205),
        (replace(GONE, phase=Phase.CONNECTED, since_s=300), 301, "connecting", 300),
        (replace(RUNNING, phase=Phase.ENDED, since_s=202), 203, "ended", 202),
        (replace(RUNNING, phase=Phase.FAILED, since_s=202), 203, "failed", 202),
    ],
)
def test_the_state_follows_from_facts_and_time(
    facts: Facts, now_s: float, state: str, since_s: float
) -> None:
    standing = standing_of(facts, now_s, LIMITS)
    assert (standing.state, standing.since_s) == (state, since_s)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("awaits_frame", [True, False])
@pytest.mark.parametrize("now_s", [200.0, 210.1, 239.9, 240.1, 1e6])
def test_running_is_never_said_of_an_old_picture(
    phase: Phase, awaits_frame: bool, now_s: float
) -> None:
    facts = replace(RUNNING, phase=phase, awaits_frame=awaits_frame)
    if standing_of(facts, now_s, LIMITS).state is StreamState.RUNNING:
        assert phase in (Phase.OPENING, Phase.CONNECTED)
        assert now_s - 200 <= LIMITS.fresh_s


def test_why_is_said_where_something_is_wrong() -> None:
    assert standing_of(GONE, 206, LIMITS) == Standing(StreamState.LOST, 205, "why")
    assert standing_of(RUNNING, 220, LIMITS).reason == "no new picture comes"
    assert standing_of(CONNECTED, 220, LIMITS).reason == "no picture came"
    assert standing_of(RUNNING, 201, LIMITS).reason is None


@pytest.mark.parametrize(("sample_fps", "fresh_s"), [(4.0, 10.0), (0.1, 30.0)])
def test_a_stream_that_is_sampled_slowly_may_be_older(sample_fps: float, fresh_s: float) -> None:
    assert StateLimits.of(10, 30, sample_fps).fresh_s == pytest.approx(fresh_s)
