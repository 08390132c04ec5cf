"""Which events or deliveries a reader wants, and a page of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.events import DeliveryState, Event, EventType
from contracts.rules import Severity


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a feed is about; ``None`` is any."""

    type: EventType | None = None
    severity: Severity | None = None
    stream_id: str | None = None
    rule_id: str | None = None

    def passes(self, event: Event) -> bool:
        """Whether an event is wanted."""
        pairs = (
            (self.type, event.type),
            (self.severity, event.severity),
            (self.stream_id, event.stream_id),
            (self.rule_id, event.rule_id),
        )
        return all(wanted in (None, ours) for wanted, ours in pairs)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events to list.

    Attributes:
        limit: Events on a page, 1 to 500.
        order: By ``began_at``; without effect beside ``after``.
        since: Begun then or later; ``until`` is before.
        page: The ``next`` of the page before.
        after: A cursor: only events with a newer message, in the order of their latest ones.
    """

    limit: int = 50
    order: Literal["asc", "desc"] = "desc"
    type: EventType | None = None
    state: Literal["open", "ended"] | None = None
    severity: Severity | None = None
    stream_id: str | None = None
    rule_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    page: str | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of a query.

    Attributes:
        next: What asks for the next page; ``None`` on the last.
        latest: Cursor from which a feed misses nothing of what came after these.
    """

    events: tuple[Event, ...]
    next: str | None
    latest: int


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries to list, newest first; ``None`` is any."""

    state: DeliveryState | None = None
    event_id: str | None = None
    limit: int = 50
