"""Whether questions are answered and events are kept now, as probes ask.

One event loop. Finding out writes to the store, and whoever reaches the service may probe it as
often as they like, so what was found holds for some seconds, and there is one look at a time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from contracts.generation import ModelRunner

HOLDS_S = 5.0
PATIENCE_S = 2.0  # a store that takes longer keeps events no more than one that refuses

Condition = Literal["ready", "loading", "failed", "unwritable"]
StoreCheck = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


async def without_store() -> None:
    """Nothing, for an app that keeps nothing."""


class Readiness:
    """Answers probes; never raises, and never lets one wait longer than ``PATIENCE_S``.

    Args:
        runner: What answers questions.
        check_store: Raises when the store cannot be written.
        clock: Seconds that go on.
    """

    def __init__(
        self,
        runner: ModelRunner,
        check_store: StoreCheck = without_store,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._check_store = check_store
        self._clock = clock
        self._look: asyncio.Task[bool] | None = None
        self._looked_s = 0.0

    async def condition(self) -> Condition:
        """How it stands; the model's troubles come before the store's."""
        state = self._runner.state
        if state != "ready":
            return state
        return "ready" if await self._is_writable() else "unwritable"

    async def is_ready(self) -> bool:
        """Whether there is no trouble."""
        return await self.condition() == "ready"

    async def _is_writable(self) -> bool:
        look = self._look
        if look is None or (look.done() and self._clock() - self._looked_s >= HOLDS_S):
            look = self._look = asyncio.create_task(self._look_now())
        await asyncio.wait([look], timeout=PATIENCE_S)
        return look.done() and not look.cancelled() and look.result()

    async def _look_now(self) -> bool:
        try:
            await self._check_store()
        except Exception:  # whatever it is, nothing would be kept
            logger.exception("the store cannot be written (storage_unavailable)")
            return False
        finally:
            self._looked_s = self._clock()
        return True
