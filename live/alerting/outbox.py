"""Sends what is in the outbox, until each sink has taken it or it is given up.

One lane for each sink, so that none waits for another. Attempts and their outcome are stored, so a
restart goes on where it was; what was taken and could not be noted is sent again under the same id.
Belongs to one event loop. Source of the times: API.md 6.5.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from contracts.alert_stats import Attempted, Backlog
from contracts.errors import DeliveryError, StorageUnavailable
from contracts.event_queries import DeliveryQuery
from contracts.events import Delivery
from contracts.notify import SinkKind, redacted
from live.sinks.courier import Courier
from live.store import deliveries
from live.store.database import Database
from live.store.tables import EPOCH

RETRY_S = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
JITTER = 0.2
STORE_RETRY_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutboxParts:
    """What an outbox works with; ``clock`` gives the moment, aware UTC."""

    database: Database
    courier: Courier
    clock: Callable[[], datetime]
    jitter: random.Random


class Outbox:
    """All deliveries.

    Attributes:
        attempts: Made since the start, by kind of sink and what came of them.
    """

    def __init__(self, parts: OutboxParts) -> None:
        self.attempts: Counter[tuple[SinkKind, Attempted]] = Counter()
        self._database = parts.database
        self._courier = parts.courier
        self._clock = parts.clock
        self._jitter = parts.jitter
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._pause = EPOCH  # when the store last failed; else it would all be sent over and over

    def wake(self) -> None:
        """Look at once whether there is something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._woken.clear()
            wait_s = await self._turn_or_wait()
            try:
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def turn(self) -> datetime | None:
        """Begin to send what is due; when something will be due next.

        Raises:
            StorageUnavailable: What is due cannot be read.
        """
        due = await self._database.read(deliveries.due_times)
        now = self._clock()
        resume_at = self._pause + timedelta(seconds=STORE_RETRY_S)
        if self._pause <= now < resume_at:
            return resume_at
        for key, at in due.items():
            if at <= now and key not in self._lanes:
                self._lanes[key] = asyncio.create_task(self._drain(key))
        return min((at for key, at in due.items() if key not in self._lanes), default=None)

    async def settle(self) -> None:
        """Wait until nothing is being sent."""
        while self._lanes:
            await asyncio.wait(self._lanes.values())

    async def close(self) -> None:
        """Break off what is being sent; it is sent again after the next start."""
        lanes = [*self._lanes.values()]
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def find(self, query: DeliveryQuery) -> list[Delivery]:
        """Deliveries of a query, newest first."""
        return await self._database.read(lambda c: deliveries.find(c, query))

    async def retry(self, delivery_id: str) -> Delivery:
        """Send once more what was sent or given up.

        Raises:
            NotFound: There is no such delivery.
        """
        now = self._clock()
        revived = await self._database.write(lambda c: deliveries.revive(c, delivery_id, now))
        self.wake()
        return revived

    async def backlog(self) -> Backlog:
        """How much waits."""
        return await self._database.read(deliveries.backlog)

    async def _turn_or_wait(self) -> float | None:
        """Seconds until the next turn; ``None`` is until woken."""
        try:
            next_at = await self.turn()
        except StorageUnavailable:
            logger.exception("the outbox cannot be read")
            return STORE_RETRY_S
        return None if next_at is None else max(0.0, (next_at - self._clock()).total_seconds())

    async def _drain(self, key: str) -> None:
        """Send to one sink, one message after the other, while something is due."""
        try:
            while True:
                next_due = partial(deliveries.next_due, key=key, now=self._clock())
                due = await self._database.read(next_due)
                if due is None:
                    return
                await self._attempt(due)
        except StorageUnavailable:
            logger.exception("deliveries cannot be noted, and will be repeated")
            self._pause = self._clock()
        except Exception:  # this lane's main loop: without the pause it would begin again at once
            logger.exception("deliveries of a sink failed, and will be repeated (server_error)")
            self._pause = self._clock()
        finally:
            del self._lanes[key]
            self.wake()

    async def _attempt(self, delivery: Delivery) -> None:
        failure = await self._try(delivery)
        now = self._clock()
        if failure is None:
            await self._settle(delivery, "ok", None)
            return
        next_at = now + timedelta(seconds=self._retry_s(delivery.num_attempts))
        if failure.is_final or next_at > delivery.give_up_at:
            logger.warning(
                "delivery %s to %s is given up after %d attempts: %s",
                delivery.id, redacted(delivery.sink), delivery.num_attempts + 1, failure.message,
            )  # fmt: skip
            await self._settle(delivery, "dead", failure.message)
            return
        message = failure.message
        await self._database.write(lambda c: deliveries.put_off(c, delivery.id, next_at, message))
        self._count(delivery, "retry")

    async def _settle(
        self, delivery: Delivery, outcome: Literal["ok", "dead"], error: str | None
    ) -> None:
        state: Literal["done", "dead"] = "done" if outcome == "ok" else "dead"
        await self._database.write(lambda c: deliveries.settle(c, delivery.id, state, error))
        self._count(delivery, outcome)

    async def _try(self, delivery: Delivery) -> DeliveryError | None:
        try:
            await self._courier.send(delivery)
        except DeliveryError as exc:
            return exc
        except Exception:  # this lane's main loop: a fault of ours must not stop it
            logger.exception("delivery %s failed (server_error)", delivery.id)
            return DeliveryError("a fault of ours (server_error)")
        return None

    def _retry_s(self, num_attempts: int) -> float:
        delay_s = RETRY_S[min(num_attempts, len(RETRY_S) - 1)]
        return delay_s * self._jitter.uniform(1 - JITTER, 1 + JITTER)

    def _count(self, delivery: Delivery, outcome: Attempted) -> None:
        self.attempts[self._courier.kind_of(delivery.sink), outcome] += 1
