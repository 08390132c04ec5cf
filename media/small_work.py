"""Work on a medium: in a thread where it takes long, at once where a thread would take longer."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

SMALL_BYTES = 65_536  # hashed, copied or decoded within a tenth of a millisecond

T = TypeVar("T")


async def work_through(num_bytes: int, work: Callable[[], T]) -> T:
    """Do work that goes through so many bytes, without holding up the event loop."""
    if num_bytes <= SMALL_BYTES:
        return work()
    return await asyncio.to_thread(work)
