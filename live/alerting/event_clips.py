"""Clips of events: some seconds before they began and some after, from the look-back.

Belongs to one event loop.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from contracts.errors import ServiceError, StorageUnavailable
from contracts.events import Event, EventMessage
from contracts.streams import LiveStreams
from live.alerting.evidence import EvidenceStore
from live.alerting.watch import Watch

SETTLE_S = 0.5  # until a frame of the last moment lies in the look-back

logger = logging.getLogger(__name__)


class EventClips:
    """Writes the clip of each event that is to have one, once its seconds have passed.

    Args:
        pre: How much from before an event began; ``post``, from after.
        clock: The moment, aware UTC.
    """

    def __init__(
        self,
        streams: LiveStreams,
        evidence: EvidenceStore,
        watch: Watch,
        *,
        pre: timedelta,
        post: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._streams = streams
        self._evidence = evidence
        self._watch = watch
        self._pre, self._post = pre, post
        self._clock = clock
        self._is_closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def are_kept(self) -> bool:
        """Whether there is anything to write of an event."""
        return bool(self._pre or self._post)

    def keep(self, messages: Iterable[EventMessage]) -> None:
        """Write, in its time, the clip of each event that began."""
        for message in messages:
            kept = message.event.evidence
            if message.kind == "begin" and kept is not None and kept.clip == "pending":
                task = asyncio.create_task(self._keep(message.event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Write what there is of those that wait for their end."""
        self._is_closing.set()
        await asyncio.gather(*self._tasks)

    async def _keep(self, event: Event) -> None:
        await self._wait_until(event.began_at + self._post + timedelta(seconds=SETTLE_S))
        try:
            is_ready = await asyncio.to_thread(self._write, event)
        except ServiceError as exc:  # the stream is gone, or the disk is full
            logger.warning("event %s stays without its clip (%s)", event.id, exc.code)
            is_ready = False
        except Exception:
            logger.exception("event %s: its clip cannot be written (server_error)", event.id)
            is_ready = False
        try:
            await self._watch.clip_done(event.id, is_ready=is_ready)
        except StorageUnavailable:
            logger.exception("event %s: that its clip is done cannot be stored", event.id)

    def _write(self, event: Event) -> bool:
        begin, end = event.began_at - self._pre, event.began_at + self._post
        with self._evidence.writing(event.id, "clip.mp4", self._clock()) as path:
            span = self._streams.write_clip(event.stream_id, path, begin=begin, end=end)
        return span is not None

    async def _wait_until(self, moment: datetime) -> None:
        left_s = (moment - self._clock()).total_seconds()
        try:
            await asyncio.wait_for(self._is_closing.wait(), max(0.0, left_s))
        except TimeoutError:
            return
