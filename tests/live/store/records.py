"""Events to put into a store."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from contracts.events import Event, EventMessage
from contracts.notify import MessageKind
from live.alerting.notice import Notice
from live.store import events as stored
from live.store.database import Database
from tests.live.stage import at, new_ids

NEW_ID = new_ids(7)


def an_event(
    began_s: float,
    **fields: Any,  # noqa: ANN401  # of Event
) -> Event:
    began = at(began_s)
    plain = Event(NEW_ID(began), "alert", "warning", "door", "Front door", began, began)
    return replace(plain, **fields)


async def tell(
    database: Database, event: Event, kind: MessageKind = "begin", at_s: float | None = None
) -> EventMessage:
    """Store a message about an event."""
    when = event.updated_at if at_s is None else at(at_s)

    def append(connection: Connection) -> EventMessage:
        return stored.append(connection, Notice(kind, event, when, None))

    return await database.write(append)


def over(event: Event, ended_s: float) -> Event:
    return replace(event, ended_at=at(ended_s), updated_at=at(ended_s), end_reason="cleared")
