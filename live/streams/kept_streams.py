"""Live streams whose configuration is stored.

Nobody is told of a change before it is stored, and a store that refuses leaves all as it was.
Belongs to one event loop; one change at a time.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from contracts.errors import ServiceError, StorageUnavailable, StreamNotFound
from contracts.stream_keeping import StreamStore, Vet, nothing_more
from contracts.streams import LiveStreams, StreamConfig, StreamStatus

logger = logging.getLogger(__name__)


class KeptStreams:
    """Implements ``contracts.stream_keeping.StreamKeeper``."""

    def __init__(self, streams: LiveStreams, store: StreamStore) -> None:
        self._streams = streams
        self._store = store
        self._changing = asyncio.Lock()

    async def resume(self, configs: Iterable[StreamConfig]) -> None:
        """Capture what was stored before this start, or show why it may not be any more."""
        for config in configs:
            try:
                await asyncio.to_thread(self._streams.restore, config)
            except ServiceError as exc:
                logger.error("stream %s is not resumed: %s", config.id, exc.message)

    async def add(self, config: StreamConfig, vet: Vet = nothing_more) -> StreamStatus:
        """Capture a stream, and store it; the capture knows best whether it may be."""
        stream_id = config.id
        await asyncio.to_thread(self._streams.add, config)
        try:
            await vet()
            async with self._changing:
                status = self._streams.status(stream_id)  # perhaps changed meanwhile
                await self._store.put_stream(status.config)
                return status
        except BaseException:
            await self._withdraw(stream_id)
            raise

    async def change(
        self, stream_id: str, change: Callable[[StreamConfig], StreamConfig]
    ) -> StreamStatus:
        """Capture a stream as it is to be, and store that."""
        async with self._changing:
            before = self._streams.status(stream_id).config
            after = change(before)
            status = await asyncio.to_thread(self._streams.update, after)
            try:
                await self._store.put_stream(after)
            except BaseException:
                self._streams.update(before)
                raise
            return status

    async def remove(self, stream_id: str) -> None:
        """Forget a stream, then end its capture."""
        async with self._changing:
            self._streams.status(stream_id)  # there must be one
            await self._store.remove_stream(stream_id)
            await asyncio.to_thread(self._streams.remove, stream_id)

    async def _withdraw(self, stream_id: str) -> None:
        """Let nothing be left of a stream that was not to be."""
        with suppress(StreamNotFound):
            self._streams.remove(stream_id)
        with suppress(StorageUnavailable):
            await self._store.remove_stream(stream_id)


class MemoryStreamStore:
    """Implements ``contracts.stream_keeping.StreamStore``: keeps streams until the process ends."""

    def __init__(self) -> None:
        self.configs: dict[str, StreamConfig] = {}

    async def put_stream(self, config: StreamConfig) -> None:
        """Keep a stream."""
        self.configs[config.id] = config

    async def remove_stream(self, stream_id: str) -> None:
        """Forget a stream."""
        self.configs.pop(stream_id, None)
