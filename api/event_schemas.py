"""Queries about events, feeds and deliveries, every parameter with its range."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.query import QuerySchema
from contracts.event_queries import DeliveryQuery, EventFilter, EventQuery
from contracts.events import DeliveryState, EventType
from contracts.rules import Severity

MAX_CURSOR_DIGITS = 18  # fits the store's integers


def parse_cursor(text: object) -> int:
    """The number of a cursor.

    Raises:
        PydanticCustomError: It is none of ours.
    """
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    if is_number and len(str(text)) <= MAX_CURSOR_DIGITS:
        return int(str(text))
    raise PydanticCustomError("cursor", "expected a cursor of this service")


Cursor = Annotated[int, BeforeValidator(parse_cursor), WithJsonSchema({"type": "string"})]
Limit = Annotated[int, Field(ge=1, le=500)]
Moment = Annotated[AwareDatetime, WithJsonSchema({"type": "string", "format": "date-time"})]


class FeedQuery(QuerySchema):
    """Which events a feed tells of, and from where on."""

    type: EventType | None = Field(default=None, description="Only events of this type")
    severity: Severity | None = Field(default=None, description="Only events of this severity")
    stream_id: str | None = Field(default=None, description="Only events of this stream")
    rule_id: str | None = Field(default=None, description="Only events of this rule")
    after: Cursor | None = Field(
        default=None, description="A cursor; 0: from the oldest kept; absent: from now"
    )

    def wanted(self) -> EventFilter:
        """The filter."""
        return EventFilter(self.type, self.severity, self.stream_id, self.rule_id)


class EventsQuery(QuerySchema):
    """Which events to list."""

    limit: Limit = Field(default=50, description="Events on a page")
    order: Literal["desc", "asc"] = Field(default="desc", description="By began_at")
    type: EventType | None = Field(default=None, description="Only events of this type")
    state: Literal["open", "ended"] | None = Field(default=None, description="Only such")
    severity: Severity | None = Field(default=None, description="Only events of this severity")
    stream_id: str | None = Field(default=None, description="Only events of this stream")
    rule_id: str | None = Field(default=None, description="Only events of this rule")
    since: Moment | None = Field(default=None, description="Only events that began then or later")
    until: Moment | None = Field(default=None, description="Only events that began before")
    page: str | None = Field(default=None, description="The next of the page before")
    after: Cursor | None = Field(
        default=None, description="A cursor: only events with newer messages, in their order"
    )

    def query(self) -> EventQuery:
        """The same in the house's words."""
        return EventQuery(**dict(self))


class FrameQuery(QuerySchema):
    """Which picture of an event."""

    which: Literal["begin", "peak"] = Field(
        default="begin", description="Of the look that began it, or of its highest score"
    )


class DeliveriesQuery(QuerySchema):
    """Which deliveries to list, newest first."""

    state: DeliveryState | None = Field(default=None, description="Only such; dead: given up")
    event_id: str | None = Field(default=None, description="Only those about this event")
    limit: Limit = Field(default=50, description="Deliveries, at most")

    def query(self) -> DeliveryQuery:
        """The same in the house's words."""
        return DeliveryQuery(self.state, self.event_id, self.limit)
