"""Decides one thing at a time: evidence first, then the store, and only then is it so.

Nothing becomes so that was not stored: when the store refuses, nothing happened. A caller that is
cancelled does not stop what it began. Belongs to one event loop.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from contracts.errors import StorageUnavailable
from contracts.events import EventMessage
from contracts.media import U8
from contracts.notify import NotifyTarget
from live.alerting.draft import Draft
from live.alerting.evidence import EvidenceStore
from live.alerting.journal import Journal
from live.alerting.scene import Scene
from live.jpeg import to_jpeg

logger = logging.getLogger(__name__)

Decide = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class DeciderParts:
    """What a decider works with.

    Attributes:
        default_targets: VLM_DEFAULT_NOTIFY.
        clock: The moment, aware UTC.
    """

    journal: Journal
    evidence: EvidenceStore
    default_targets: tuple[NotifyTarget, ...]
    clock: Callable[[], datetime]


class Decider:
    """The one way in which a scene changes."""

    def __init__(self, scene: Scene, parts: DeciderParts) -> None:
        self.scene = scene
        self._parts = parts
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[list[EventMessage]]] = set()

    def now(self) -> datetime:
        """The moment."""
        return self._parts.clock()

    async def decide(self, decide: Decide, rgb: U8 | None = None) -> list[EventMessage]:
        """Fill a draft, store it, make it so; what was told.

        Args:
            decide: Fills the draft, without waiting; what it raises is raised, and nothing happens.
                It may be called again with another draft.
            rgb: The picture that evidence is made of.

        Raises:
            StorageUnavailable: Nothing happened.
        """
        task = asyncio.create_task(self._run(decide, rgb))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait until nothing is being decided."""
        async with self._lock:
            pass

    async def _run(self, decide: Decide, rgb: U8 | None) -> list[EventMessage]:
        async with self._lock:
            draft = await self._filled(decide, rgb)
            messages = []
            if draft.is_stored:
                messages = await self._parts.journal.record(draft.entries, draft.write)
            draft.apply()
            return messages

    async def _filled(self, decide: Decide, rgb: U8 | None) -> Draft:
        """A draft whose pictures are kept; where they cannot be, one without: alerts come first."""
        draft = self._fill(decide, keeps_pictures=rgb is not None)
        if rgb is None or not draft.pictures:
            return draft
        try:
            await asyncio.to_thread(self._keep, draft, rgb)
        except StorageUnavailable:
            logger.warning("evidence cannot be written: an event goes without its picture")
            return self._fill(decide, keeps_pictures=False)
        return draft

    def _fill(self, decide: Decide, *, keeps_pictures: bool) -> Draft:
        draft = Draft(self.scene, self._parts.default_targets, self.now())
        draft.keeps_pictures = keeps_pictures
        decide(draft)
        return draft

    def _keep(self, draft: Draft, rgb: U8) -> None:
        jpeg = to_jpeg(rgb)
        for event_id, name in draft.pictures:
            self._parts.evidence.put(event_id, name, jpeg, draft.now)

    def _forget(self, task: asyncio.Task[list[EventMessage]]) -> None:
        """Take what nobody may be waiting for any more."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
