"""A clock that goes when it is told to."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from live.clock import SystemClock

EPOCH = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)


class HandClock:
    """Stands still, and goes on by what is waited for."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waited_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def utc(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now_s)

    def waiting_until(self, is_over: Callable[[], bool]) -> Callable[[float], bool]:
        """A ``wait`` that lets the time pass at once."""

        def wait(delay_s: float) -> bool:
            if delay_s:
                self.waited_s.append(delay_s)
                self.now_s += delay_s
            return is_over()

        return wait


class ShiftedClock(SystemClock):
    """The clocks of this machine, put forward by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def utc(self) -> datetime:
        return super().utc() + timedelta(seconds=self.ahead_s)
