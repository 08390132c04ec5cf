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
