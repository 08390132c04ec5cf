"""Durations counted into buckets, as Prometheus wants them. One thread counts, any may read."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations so far.

    Attributes:
        bounds_s: Upper ends of the buckets, growing; one more bucket has no end.
        counts: At most so long, one for each bound, and all.
        sum_s: All durations together.
    """

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    sum_s: float


class Latencies:
    """Counts durations.

    Args:
        bounds_s: Upper ends of the buckets, growing.
    """

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def count(self, seconds: float) -> None:
        """Count one; a clock that was put back makes it 0."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    @property
    def histogram(self) -> Histogram:
        """What was counted so far."""
        return Histogram(self._bounds_s, tuple(accumulate(self._counts)), self._sum_s)
