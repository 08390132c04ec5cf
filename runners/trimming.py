"""Memory of the host that nobody uses and the allocator keeps: given back now and then."""

from collections.abc import Callable

from llava_custom.device_memory import trim_host_memory

PERIOD_S = 30.0


class Trimming:
    """Trims at most once in ``PERIOD_S`` seconds.

    Args:
        clock: Seconds, monotonic.
        trim: Gives memory back.
    """

    def __init__(
        self, clock: Callable[[], float], trim: Callable[[], None] = trim_host_memory
    ) -> None:
        self._clock = clock
        self._trim = trim
        self._trimmed_s = clock()

    def run_if_due(self) -> None:
        """Trim, unless it was done lately."""
        now_s = self._clock()
        if now_s - self._trimmed_s >= PERIOD_S:
            self._trim()
            self._trimmed_s = now_s
