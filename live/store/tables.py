"""The tables. What is searched or ordered by is a column; the rest of a value is JSON in ``body``.

``migrations`` makes them; a test holds the two together.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware UTC moment as whole microseconds since 1970, which every database orders alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Count the microseconds, exactly."""
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401  # SQLAlchemy's
        """Make a moment of them."""
        return None if value is None else EPOCH + timedelta(microseconds=int(value))


metadata = MetaData()

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

streams = Table(
    "streams",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("body", Text, nullable=False),
)

rules = Table(
    "rules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("body", Text, nullable=False),
)

rule_states = Table(
    "rule_states",
    metadata,
    Column("rule_id", String(64), primary_key=True),
    Column("stream_id", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("type", String(32), nullable=False),
    Column("severity", String(32), nullable=False),
    Column("stream_id", String(64), nullable=False),
    Column("rule_id", String(64)),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("cursor", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_events_began_at", "began_at", "id"),
    Index("ix_events_cursor", "cursor"),
    Index("ix_events_ended_at", "ended_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("cursor", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_messages_at", "at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("sink_key", String(64), nullable=False),
    Column("sink", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("num_attempts", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("give_up_at", Moment, nullable=False),
    Column("last_error", Text),
    Column("message_kind", String(16), nullable=False),
    Column("message_at", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_deliveries_pending", "state", "sink_key", "event_id", "cursor"),
    Index("ix_deliveries_event_id", "event_id"),
)
