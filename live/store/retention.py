"""Removes what is not to be kept any longer; what is still open or still to be sent stays."""

from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, select

from live.store.tables import deliveries, events, messages

MAX_MESSAGES = 100_000  # about 150 MB; a rule without cooldown makes one with every look


def prune(connection: Connection, before: datetime, max_messages: int = MAX_MESSAGES) -> list[str]:
    """Remove events that ended before a moment, and messages of before it or above a number.

    Returns:
        Ids of the events that went.
    """
    _prune_messages(connection, before, max_messages)
    rows = connection.scalars(select(events.c.id).where(events.c.ended_at < before))
    gone = [event_id for event_id in rows if not _waits(connection, event_id)]
    for event_id in gone:
        connection.execute(delete(deliveries).where(deliveries.c.event_id == event_id))
        connection.execute(delete(events).where(events.c.id == event_id))
    return gone


def _waits(connection: Connection, event_id: str) -> bool:
    of_event = (deliveries.c.event_id == event_id) & (deliveries.c.state == "pending")
    return bool(connection.scalars(select(exists().where(of_event))).one())


def _prune_messages(connection: Connection, before: datetime, max_messages: int) -> None:
    """Cut messages off at the old end only: feeds can tell of a gap there and nowhere else."""
    newest = connection.scalars(select(func.max(messages.c.cursor))).one()
    if newest is None:
        return
    is_young = messages.c.at >= before
    young = connection.scalars(select(func.min(messages.c.cursor)).where(is_young)).one()
    first_kept = max(newest - max_messages + 1, newest + 1 if young is None else young)
    connection.execute(delete(messages).where(messages.c.cursor < first_kept))
