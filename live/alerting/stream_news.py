"""Brings what streams tell on their threads to the watch, in order, on its event loop."""

import asyncio
import logging
from collections.abc import Callable

from contracts.errors import StorageUnavailable
from contracts.streams import LiveStreams, StreamChange
from live.alerting.watch import Watch

logger = logging.getLogger(__name__)


class StreamNews:
    """Listens from the moment it is made; hands over while it runs."""

    def __init__(self, streams: LiveStreams, watch: Watch) -> None:
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._changes: asyncio.Queue[StreamChange] = asyncio.Queue()
        self._end: Callable[[], None] = streams.subscribe(self._heard)

    async def run(self) -> None:
        """Hand over until cancelled."""
        while True:
            change = await self._changes.get()
            try:
                await self._watch.stream_changed(change)
            except StorageUnavailable:
                logger.exception("stream %s: its state cannot be stored", change.stream_id)

    def close(self) -> None:
        """Stop listening."""
        self._end()

    def _heard(self, change: StreamChange) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changes.put_nowait, change)
