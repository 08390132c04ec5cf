"""The two clocks: one that only runs forward, one that knows the date."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is; tests bring one of their own."""

    def monotonic(self) -> float:
        """Seconds since some moment; never steps."""
        ...

    def utc(self) -> datetime:
        """The moment in the world, aware; may be set back or forward."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Now."""
        return datetime.now(UTC)


def moment_of(clock: Clock, monotonic_s: float) -> datetime:
    """The moment in the world when the monotonic clock showed this."""
    return clock.utc() - timedelta(seconds=clock.monotonic() - monotonic_s)


class KeptMoment:
    """A moment in the world that stays the same however often it is asked for, and set clocks too.

    Thread-safe: two threads that ask at once may differ by microseconds, once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: tuple[float, datetime] | None = None

    def of(self, monotonic_s: float) -> datetime:
        """When the monotonic clock showed this, as it was first worked out."""
        kept = self._kept
        if kept is None or kept[0] != monotonic_s:
            kept = self._kept = monotonic_s, moment_of(self._clock, monotonic_s)
        return kept[1]
