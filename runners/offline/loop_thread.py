"""An event loop on a thread of its own, for callers that have no loop, or must not block theirs."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads. ``call`` and ``close`` are safe from any thread but it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether it takes work."""
        return self._thread.is_alive()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; if this is interrupted, cancel it and wait for its end."""
        tasks: list[asyncio.Task[T]] = []
        has_ended = threading.Event()

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda _: has_ended.set())

        self._loop.call_soon_threadsafe(begin)
        try:
            has_ended.wait()
        except BaseException:  # Ctrl-C comes to the thread that waits, not to the work
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())
            has_ended.wait()
            raise
        return tasks[0].result()

    def close(self) -> None:
        """Cancel what still runs and end the thread; again does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._is_closing.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        await self._is_closing.wait()
