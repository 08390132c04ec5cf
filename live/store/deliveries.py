"""Messages on their way to sinks: the outbox, and what became of it.

A delivery has its message with it, so that it can be sent however long feeds keep theirs.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    Row,
    Subquery,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from contracts.alert_stats import Backlog
from contracts.errors import NotFound
from contracts.event_queries import DeliveryQuery
from contracts.events import Delivery, DeliveryState, EventMessage
from contracts.notify import MessageKind, Sink
from live.store.bodies import EVENT, SINK
from live.store.tables import EPOCH, Moment, deliveries

GIVE_UP_AFTER = timedelta(hours=24)


def sink_key(sink: Sink) -> str:
    """What tells sinks apart, without saying what they are."""
    return hashlib.sha256(SINK.dump(sink).encode()).hexdigest()[:16]


def add(
    connection: Connection, message: EventMessage, kind: MessageKind, sinks: Sequence[Sink]
) -> None:
    """Put a message into the outbox, once for each sink."""
    for key, sink in {sink_key(sink): sink for sink in sinks}.items():
        row = {
            "id": f"{message.event.id}-{message.cursor}-{key}",
            "cursor": message.cursor,
            "event_id": message.event.id,
            "sink_key": key,
            "sink": SINK.dump(sink),
            "kind": kind,
            "state": "pending",
            "num_attempts": 0,
            "created_at": message.at,
            "next_at": message.at,
            "give_up_at": message.at + GIVE_UP_AFTER,
            "message_kind": message.kind,
            "message_at": message.at,
            "body": EVENT.dump(message.event),
        }
        connection.execute(insert(deliveries), row)


def due_times(connection: Connection) -> dict[str, datetime]:
    """Sinks that something waits for, by key, and when the first of it may be sent."""
    heads = _heads()
    # What was never tried waits for nothing: the clock may have been put back meanwhile.
    at = case((heads.c.num_attempts == 0, literal(EPOCH, Moment)), else_=heads.c.next_at)
    selected = select(heads.c.sink_key, func.min(at, type_=Moment).label("next_at"))
    rows = connection.execute(selected.group_by(heads.c.sink_key))
    return {row.sink_key: row.next_at for row in rows}


def next_due(connection: Connection, key: str, now: datetime) -> Delivery | None:
    """What is to be sent to a sink next, if something may be sent now.

    Of each event only the oldest message counts, so that they keep their order.
    """
    heads = _heads()
    is_due = or_(heads.c.next_at <= now, heads.c.num_attempts == 0)
    row = connection.execute(
        select(heads)
        .where(heads.c.sink_key == key, is_due)
        .order_by(heads.c.next_at, heads.c.cursor)
        .limit(1)
    ).one_or_none()
    return None if row is None else _delivery(row)


def settle(
    connection: Connection, delivery_id: str, state: DeliveryState, last_error: str | None
) -> None:
    """Count an attempt after which none follows."""
    _update(connection, delivery_id, state=state, last_error=last_error)


def put_off(connection: Connection, delivery_id: str, next_at: datetime, last_error: str) -> None:
    """Count an attempt that failed; the next one is not before ``next_at``."""
    _update(connection, delivery_id, next_at=next_at, last_error=last_error)


def revive(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """Send once more what was sent or given up, for another day.

    Raises:
        NotFound: There is no such delivery.
    """
    fresh = {"state": "pending", "next_at": now, "give_up_at": now + GIVE_UP_AFTER}
    row = connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(fresh))
    if not row.rowcount:
        raise NotFound("there is no such delivery: expected an id from GET /v1/deliveries")
    return _delivery(
        connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one()
    )


def find(connection: Connection, query: DeliveryQuery) -> list[Delivery]:
    """Deliveries of a query, newest first."""
    conditions = [
        column == wanted
        for column, wanted in (
            (deliveries.c.state, query.state),
            (deliveries.c.event_id, query.event_id),
        )
        if wanted is not None
    ]
    newest_first = (deliveries.c.cursor.desc(), deliveries.c.sink_key)
    selected = select(deliveries).where(*conditions).order_by(*newest_first).limit(query.limit)
    return [_delivery(row) for row in connection.execute(selected)]


def backlog(connection: Connection) -> Backlog:
    """How much waits."""
    row = connection.execute(
        select(
            func.count().label("depth"), func.min(deliveries.c.created_at).label("oldest_at")
        ).where(deliveries.c.state == "pending")
    ).one()
    return Backlog(row.depth, row.oldest_at)


def _heads() -> Subquery:
    """The oldest pending delivery of each event to each sink."""
    other = deliveries.alias()
    is_earlier = (
        (other.c.state == "pending")
        & (other.c.sink_key == deliveries.c.sink_key)
        & (other.c.event_id == deliveries.c.event_id)
        & (other.c.cursor < deliveries.c.cursor)
    )
    waits = exists().where(is_earlier)
    return select(deliveries).where(deliveries.c.state == "pending", ~waits).subquery()


def _delivery(row: Row[tuple[object, ...]]) -> Delivery:
    message = EventMessage(row.cursor, row.message_kind, row.message_at, EVENT.load(row.body))
    return Delivery(
        id=row.id,
        message=message,
        sink=SINK.load(row.sink),
        kind=row.kind,
        state=row.state,
        num_attempts=row.num_attempts,
        created_at=row.created_at,
        next_at=row.next_at,
        give_up_at=row.give_up_at,
        last_error=row.last_error,
    )


def _update(connection: Connection, delivery_id: str, **values: object) -> None:
    counted = {"num_attempts": deliveries.c.num_attempts + 1, **values}
    connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(counted))
