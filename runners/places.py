"""How many requests are with an engine at a time, and how many may wait for that.

First come, first served, and counted by class. Belongs to one event loop.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.engine_stats import EngineStats
from contracts.errors import QueueFull
from contracts.work_class import WorkClass
from runners.engine_meter import EngineMeter


class Places:
    """A bounded number of places, and a bounded queue for them.

    Args:
        num_places: Requests that may run at a time.
        max_waiting: Requests that may wait; one more is a ``QueueFull``.

    Attributes:
        meter: Counts what is done in them.
    """

    def __init__(self, num_places: int, *, max_waiting: int) -> None:
        self.meter = EngineMeter()
        self._num_places = num_places
        self._max_waiting = max_waiting
        self._free = asyncio.Semaphore(num_places)
        self._waiting: Counter[WorkClass] = Counter()
        self._running: Counter[WorkClass] = Counter()
        self._mean_s = 1.0

    def stats(self) -> EngineStats:
        """What was done in them, and what is going on."""
        return self.meter.stats(self._waiting, self._running)

    @asynccontextmanager
    async def taken(self, work_class: WorkClass) -> AsyncIterator[float]:
        """Wait for a place and hold it; gives the seconds of waiting.

        Raises:
            QueueFull: As many wait as may.
        """
        began_s = time.monotonic()
        await self._take(work_class)
        taken_s = time.monotonic()
        self.meter[work_class].queue_s.count(taken_s - began_s)
        self._running[work_class] += 1
        try:
            yield taken_s - began_s
        finally:
            self._running[work_class] -= 1
            self._free.release()
            self._mean_s += 0.2 * (time.monotonic() - taken_s - self._mean_s)

    async def _take(self, work_class: WorkClass) -> None:
        num_waiting = self._waiting.total()
        if self._free.locked() and num_waiting >= max(self._max_waiting, 1):
            wait_s = min(60, max(1, round(num_waiting * self._mean_s / self._num_places)))
            message = f"{num_waiting} requests are waiting already; try again in {wait_s} s"
            raise QueueFull(message, retry_after_s=wait_s)
        self._waiting[work_class] += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting[work_class] -= 1
