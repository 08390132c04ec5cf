"""Events and their evidence as readers ask for them, and their removal when their time is over.

Belongs to one event loop.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from contracts.event_queries import EventPage, EventQuery
from contracts.events import Event
from live.alerting.evidence import EvidenceStore
from live.store import events
from live.store.database import Database
from live.store.queries import page
from live.store.retention import prune


class EventArchive:
    """What happened, for as long as it is kept."""

    def __init__(self, database: Database, evidence: EvidenceStore, retention: timedelta) -> None:
        self._database = database
        self._evidence = evidence
        self._retention = retention

    async def page(self, query: EventQuery) -> EventPage:
        """A page of events.

        Raises:
            RequestError: ``page`` is none of ours, or of another query.
            StorageUnavailable: It cannot be read.
        """
        return await self._database.read(lambda connection: page(connection, query))

    async def get(self, event_id: str) -> Event:
        """One event.

        Raises:
            EventNotFound, StorageUnavailable: As they say.
        """
        return await self._database.read(lambda c: events.get_event(c, event_id))

    async def frame(self, event_id: str, which: Literal["begin", "peak"]) -> Path:
        """The file of an event's picture, JPEG.

        Raises:
            EventNotFound, EvidenceNotFound, EvidenceGone, StorageUnavailable: As they say.
        """
        return self._evidence.frame(await self.get(event_id), which)

    async def clip(self, event_id: str) -> Path:
        """The file of an event's clip, MP4.

        Raises:
            EventNotFound, EvidenceNotFound, EvidenceGone, StorageUnavailable: As they say.
        """
        return self._evidence.clip(await self.get(event_id))

    async def tidy(self, now: datetime) -> None:
        """Remove events and evidence whose time is over; to be called now and then.

        Raises:
            StorageUnavailable: Nothing was removed.
        """
        before = now - self._retention
        gone = await self._database.write(lambda connection: prune(connection, before))
        await asyncio.to_thread(self._remove, gone, now)

    def _remove(self, gone: list[str], now: datetime) -> None:
        for event_id in gone:
            self._evidence.remove(event_id)
        self._evidence.sweep(now)
