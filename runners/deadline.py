"""The bound on one request's time. Belongs to an event loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from contracts.errors import RequestTimeout, ServiceError

Item = TypeVar("Item")


@asynccontextmanager
async def within(deadline_s: float) -> AsyncIterator[None]:
    """Cancel what runs inside when the deadline, on ``time.monotonic``, passes.

    Raises:
        RequestTimeout: It passed.
    """
    try:
        async with asyncio.timeout(deadline_s - time.monotonic()) as bound:
            yield
    except TimeoutError:
        if not bound.expired():
            raise
        raise _too_late() from None


def tell_when_late(
    deadline_s: float, items: "asyncio.Queue[Item | ServiceError]"
) -> asyncio.TimerHandle:
    """Put the refusal among the items when the deadline passes: one timer for a whole answer."""
    left_s = deadline_s - time.monotonic()
    return asyncio.get_running_loop().call_later(left_s, items.put_nowait, _too_late())


def _too_late() -> RequestTimeout:
    return RequestTimeout("the answer was not complete within VLM_REQUEST_TIMEOUT_S")
