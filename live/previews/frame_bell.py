"""Wakes coroutines when a live stream has a newer frame.

One thread waits at the stream's buffer for all who watch it. Belongs to one event loop.
"""

import asyncio
import threading
from contextlib import suppress

from contracts.errors import StreamNotFound
from contracts.streams import LiveStreams

PATIENCE_S = 0.5  # after which the thread looks whether anybody still listens


class FrameBell:
    """Rings for one stream, from its making until it is closed.

    Attributes:
        sequence: Number of the newest frame that it has rung for.
    """

    def __init__(self, streams: LiveStreams, stream_id: str) -> None:
        self.sequence = 0
        self._streams = streams
        self._stream_id = stream_id
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(
            target=self._listen, name=f"preview-{stream_id}", daemon=True
        )
        self._thread.start()

    async def wait_beyond(self, sequence: int) -> None:
        """Wait for a frame of another number, or for the end of the stream."""
        while self.sequence == sequence:
            await self._news.wait()

    def close(self) -> None:
        """End the thread, soon."""
        self._is_closed.set()

    def join(self) -> None:
        """Wait until the thread has ended; blocks."""
        self._thread.join()

    def _listen(self) -> None:
        sequence = 0
        with suppress(StreamNotFound, RuntimeError):  # it was removed; the loop is closed
            while not self._is_closed.is_set():
                newest = self._streams.wait_newer(self._stream_id, sequence, timeout_s=PATIENCE_S)
                if newest != sequence:
                    sequence = newest
                    self._loop.call_soon_threadsafe(self._ring, sequence)

    def _ring(self, sequence: int) -> None:
        self.sequence = sequence
        self._news.set()
        self._news = asyncio.Event()
