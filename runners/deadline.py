"""The bound on one request's time. Belongs to an event loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.errors import RequestTimeout


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
        message = "the answer was not complete within VLM_REQUEST_TIMEOUT_S"
        raise RequestTimeout(message) from None
