"""Stores what happened, then tells whoever listens; never the other way round.

A message, its event and its deliveries are one transaction. Belongs to one event loop.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from contracts.events import EventMessage, EventType
from contracts.notify import MessageKind, NotifyTarget
from contracts.rules import Severity
from live.alerting.notice import Notice
from live.sinks.book import SinkBook
from live.store import deliveries, events
from live.store.database import Database

Listener = Callable[[Sequence[EventMessage]], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A notice, and who may be told of it."""

    notice: Notice
    targets: tuple[NotifyTarget, ...]


class Journal:
    """The one way in which messages come about.

    Attributes:
        told: Messages since the start, counted.
    """

    def __init__(self, database: Database, sinks: SinkBook) -> None:
        self._database = database
        self._sinks = sinks
        self._listeners: list[Listener] = []
        self.told: Counter[tuple[EventType, Severity, MessageKind]] = Counter()

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` on the event loop with what each transaction stored, in their order."""
        self._listeners.append(listener)

    async def record(
        self, entries: Sequence[Entry], also: Callable[[Connection], None] | None = None
    ) -> list[EventMessage]:
        """Store messages, in order, and whatever belongs into the same transaction.

        Raises:
            StorageUnavailable: Nothing was stored, and nobody is told.
        """

        def work(connection: Connection) -> list[EventMessage]:
            if also is not None:
                also(connection)
            return [self._append(connection, entry) for entry in entries]

        return await self._database.write(work, self._tell)

    def _append(self, connection: Connection, entry: Entry) -> EventMessage:
        message = events.append(connection, entry.notice)
        kind = entry.notice.sink_kind
        if kind is not None:
            sinks = self._sinks.sinks_for(entry.targets, kind)
            deliveries.add(connection, message, kind, sinks)
        return message

    def _tell(self, messages: Sequence[EventMessage]) -> None:
        if not messages:
            return
        for message in messages:
            self.told[message.event.type, message.event.severity, message.kind] += 1
        for listener in self._listeners:
            listener(messages)
