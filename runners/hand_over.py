"""From the device thread to event loops: one wake-up a turn, however many items there are.

Listeners and ``flush`` belong to the device thread.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Item = TypeVar("Item")
Posts = list[tuple["asyncio.Queue[Any]", object]]


class HandOver:
    """Holds what was said until ``flush``."""

    def __init__(self) -> None:
        self._posts: dict[asyncio.AbstractEventLoop, Posts] = {}

    def listener(self, items: "asyncio.Queue[Item]") -> Callable[[Item], None]:
        """What puts items into a queue of the running loop, with the next flush."""
        loop = asyncio.get_running_loop()

        def post(item: Item) -> None:
            self._posts.setdefault(loop, []).append((items, item))

        return post

    def flush(self) -> None:
        """Deliver; items of a loop that was closed are dropped."""
        posts, self._posts = self._posts, {}
        for loop, items in posts.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, items)


def _deliver(posts: Posts) -> None:
    for items, item in posts:
        items.put_nowait(item)
