"""Several questions at once, of which none is left alone. Belongs to an event loop."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def side_by_side(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What they say, in their order; when one fails, or the caller leaves, all end."""
    tasks = [asyncio.create_task(one) for one in asked]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
