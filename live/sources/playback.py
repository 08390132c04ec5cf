"""Recordings at their own rate: how long each packet has to wait."""

SLIP_S = 1.0  # played so much too late, the rest is played later too, and nothing is skipped
JUMP_S = 10.0  # a gap in the recording that is not waited for


class Playback:
    """One pass through a recording, on any clock."""

    def __init__(self) -> None:
        self._start_s: float | None = None  # of the clock, when the recording's time is 0

    def delay_s(self, source_s: float | None, now_s: float) -> float:
        """Seconds until a packet of this time is due; 0 or more."""
        if source_s is None:
            return 0.0
        start_s = now_s - source_s if self._start_s is None else self._start_s
        delay_s = start_s + source_s - now_s
        if not -SLIP_S <= delay_s <= JUMP_S:
            start_s, delay_s = now_s - source_s, 0.0
        self._start_s = start_s
        return max(0.0, delay_s)
