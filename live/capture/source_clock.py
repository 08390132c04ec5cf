"""When a picture was captured, from its source's own times and from when its packet came.

A packet comes late when the network or this process was held up, and many come at once afterwards.
The times in the packets do not know of that, but have no relation to our clock. The least delay
among the latest packets relates the two: what comes later than that has been waiting somewhere.
"""

from collections import deque

NUM_PACKETS = 100  # some seconds; a source whose clock is wrong by 1 % is off by some 30 ms
JUMP_S = 10.0  # a step of the source's times that no delay explains
LEAST_STEP_S = 1e-4
MAX_DOUBTS = 3


class SourceClock:
    """Maps the times of one connection to the monotonic clock; what it says only grows."""

    def __init__(self) -> None:
        self._num_doubts = 0
        self._offsets_s: deque[float] = deque(maxlen=NUM_PACKETS)
        self._last_s = float("-inf")

    def observe(self, source_s: float | None, now_s: float) -> None:
        """Note that a packet of this time came now; times are those of decoding, in order."""
        if source_s is None or not self.is_trusted:
            self._offsets_s.clear()
            return
        offset_s = now_s - source_s
        if self._offsets_s and abs(offset_s - self._offsets_s[-1]) > JUMP_S:
            self._offsets_s.clear()
        self._offsets_s.append(offset_s)

    def captured_s(self, source_s: float | None, now_s: float) -> float:
        """When a picture of this time was captured: not after now, and after every one before."""
        captured_s = now_s
        if source_s is not None and self._offsets_s:
            captured_s = min(now_s, source_s + min(self._offsets_s))
        self._last_s = max(captured_s, self._last_s + LEAST_STEP_S)
        return self._last_s

    def doubt(self) -> None:
        """Note that the delay grows though nothing can be waiting: the source counts wrongly.

        The times are related anew; a source that is doubted again and again is not believed.
        """
        self._num_doubts += 1
        self._offsets_s.clear()

    @property
    def is_trusted(self) -> bool:
        """Whether the source's times are worth anything."""
        return self._num_doubts < MAX_DOUBTS

    def lag_s(self) -> float:
        """How long the newest packet has been waiting somewhere before it was read."""
        return self._offsets_s[-1] - min(self._offsets_s) if self._offsets_s else 0.0
