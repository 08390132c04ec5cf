"""Messages about events before they are stored, and how events that are no alert begin and end.

Pure. The store gives a notice its cursor; the outbox sends it to the rule's sinks.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from contracts.events import EndReason, Event
from contracts.notify import MessageKind


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that is not stored yet.

    Attributes:
        kind: What feeds are told.
        at: When it was made.
        sink_kind: What sinks are told; ``None`` is nothing.
    """

    kind: MessageKind
    event: Event
    at: datetime
    sink_kind: MessageKind | None


def begun(event: Event, now: datetime) -> Notice:
    """The notice that an event began, which sinks get unless it is suppressed."""
    return Notice("begin", event, now, None if event.suppressed else "begin")


def updated(event: Event, now: datetime) -> Notice:
    """The notice that an event goes on."""
    return Notice("update", event, now, None if event.suppressed else "update")


def ended(event: Event, reason: EndReason, ended_at: datetime, now: datetime) -> Notice:
    """The notice that an event ended; sinks that never heard of it hear nothing."""
    event = replace(event, ended_at=ended_at, updated_at=ended_at, end_reason=reason)
    return Notice("end", event, now, None if event.suppressed else "end")
