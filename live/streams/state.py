"""The state of a live stream, from what its capture last said and what time it is.

Nothing is stored as "running": the state is worked out anew whenever it is asked for, so a capture
that hangs, or has died, shows as it is. Pure.
"""

from dataclasses import dataclass
from enum import Enum, auto

from contracts.streams import StreamState


class Phase(Enum):
    """What the capture last said of its connection."""

    OPENING = auto()
    CONNECTED = auto()
    GONE = auto()
    ENDED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the capture last said; moments are on the monotonic clock.

    Attributes:
        since_s: When the phase began.
        reason: Of the phase, for people.
        awaits_frame: Whether no frame came since the start or since the source was lost.
        fresh_since_s: When frames began to come without a pause.
        last_frame_s: When the newest frame was captured.
        retry_at_s: When a source that is gone is tried again; ``None`` while it is being tried.
    """

    phase: Phase
    since_s: float
    reason: str | None = None
    awaits_frame: bool = True
    fresh_since_s: float | None = None
    last_frame_s: float | None = None
    retry_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class StateLimits:
    """How old the newest frame may be, and how long a source may be silent after that."""

    fresh_s: float
    lost_s: float

    @classmethod
    def of(cls, stale_s: float, lost_s: float, sample_fps: float) -> "StateLimits":
        """A stream that is sampled slowly may be older."""
        return cls(max(stale_s, 3 / sample_fps), lost_s)


@dataclass(frozen=True, slots=True)
class Standing:
    """A state, since when, and why."""

    state: StreamState
    since_s: float
    reason: str | None = None


def standing_of(facts: Facts, now_s: float, limits: StateLimits) -> Standing:
    """How a stream stands now."""
    if facts.phase is Phase.ENDED:
        return Standing(StreamState.ENDED, facts.since_s, facts.reason)
    if facts.phase is Phase.FAILED:
        return Standing(StreamState.FAILED, facts.since_s, facts.reason)
    if facts.phase is Phase.GONE:
        return Standing(StreamState.LOST, facts.since_s, facts.reason)
    if facts.awaits_frame or facts.last_frame_s is None or facts.fresh_since_s is None:
        since_s, state = facts.since_s, StreamState.CONNECTING
        reason = "no picture came"
    elif now_s - facts.last_frame_s <= limits.fresh_s:
        return Standing(StreamState.RUNNING, facts.fresh_since_s)
    else:
        since_s, state = facts.last_frame_s + limits.fresh_s, StreamState.STALLED
        reason = "no new picture comes"
    lost_at_s = since_s + limits.lost_s
    if now_s >= lost_at_s:
        return Standing(StreamState.LOST, lost_at_s, reason)
    return Standing(state, since_s, reason if state is StreamState.STALLED else None)
