"""Events and the messages about them; each message takes the next number of one counter."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, insert, select, update

from contracts.errors import EventNotFound
from contracts.events import Event, EventMessage
from live.alerting.notice import Notice
from live.store.bodies import EVENT
from live.store.tables import counters, events, messages

COUNTER = "message"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which messages are kept: all from ``oldest`` to ``latest``, none if oldest is above it."""

    oldest: int
    latest: int


def append(connection: Connection, notice: Notice) -> EventMessage:
    """Store a message and the event as it is now.

    The counter's row is locked until the transaction ends, so cursors are committed in their order
    and without gaps.
    """
    number = connection.scalars(
        update(counters)
        .where(counters.c.name == COUNTER)
        .values(value=counters.c.value + 1)
        .returning(counters.c.value)
    ).one()
    message = EventMessage(number, notice.kind, notice.at, replace(notice.event, cursor=number))
    put_event(connection, message.event)
    row = {
        "cursor": number,
        "event_id": message.event.id,
        "kind": message.kind,
        "at": message.at,
        "body": EVENT.dump(message.event),
    }
    connection.execute(insert(messages), row)
    return message


def put_event(connection: Connection, event: Event) -> None:
    """Store an event as it is now, without a message."""
    row = {
        "type": event.type,
        "severity": event.severity,
        "stream_id": event.stream_id,
        "rule_id": event.rule_id,
        "began_at": event.began_at,
        "ended_at": event.ended_at,
        "cursor": event.cursor,
        "body": EVENT.dump(event),
    }
    changed = connection.execute(update(events).where(events.c.id == event.id).values(row)).rowcount
    if not changed:
        connection.execute(insert(events), {"id": event.id, **row})


def get_event(connection: Connection, event_id: str) -> Event:
    """One event.

    Raises:
        EventNotFound: It never was, or is not kept any more.
    """
    body = connection.scalars(select(events.c.body).where(events.c.id == event_id)).one_or_none()
    if body is None:
        raise EventNotFound("there is no such event: expected an id from GET /v1/events")
    return EVENT.load(body)


def open_events(connection: Connection) -> list[Event]:
    """Events that go on."""
    rows = connection.scalars(select(events.c.body).where(events.c.ended_at.is_(None)))
    return [EVENT.load(body) for body in rows]


def messages_after(connection: Connection, cursor: int, limit: int) -> list[EventMessage]:
    """The next messages after a cursor, at most so many."""
    rows = connection.execute(
        select(messages).where(messages.c.cursor > cursor).order_by(messages.c.cursor).limit(limit)
    )
    return [EventMessage(row.cursor, row.kind, row.at, EVENT.load(row.body)) for row in rows]


def bounds(connection: Connection) -> Bounds:
    """Which messages are kept."""
    latest = connection.scalars(select(counters.c.value).where(counters.c.name == COUNTER)).one()
    oldest = connection.scalars(select(func.min(messages.c.cursor))).one()
    return Bounds(latest + 1 if oldest is None else oldest, latest)
