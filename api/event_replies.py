"""What replies about events and deliveries look like, for the OpenAPI document."""

from typing import Literal

from api.reply_schemas import ReplySchema
from contracts.events import DeliveryState, EndReason, EventType
from contracts.notify import MessageKind
from contracts.rules import Severity


class ScoreReply(ReplySchema):
    """Scores of an event's known looks."""

    begin: float
    peak: float
    last: float


class EvidenceReply(ReplySchema):
    """Where an event can be seen."""

    frame: str | None
    clip: str | None
    clip_ready: bool


class EventReply(ReplySchema):
    """Something that began and perhaps ended."""

    id: str
    object: Literal["event"]
    type: EventType
    state: Literal["open", "ended"]
    severity: Severity
    suppressed: bool
    rule_id: str | None
    rule_name: str | None
    prompt: str | None
    stream_id: str
    stream_name: str
    began_at: str
    updated_at: str
    ended_at: str | None
    end_reason: EndReason | None
    score: ScoreReply | None
    num_looks: int | None
    frame_times: list[str] | None
    model: str | None
    evidence: EvidenceReply | None
    cursor: str


class EventList(ReplySchema):
    """A page of events; a feed that starts after latest misses nothing."""

    object: Literal["list"]
    data: list[EventReply]
    has_more: bool
    next: str | None
    latest: str


class MessageReply(ReplySchema):
    """A message about an event."""

    cursor: str
    kind: MessageKind
    at: str
    event: EventReply


class DeliveryReply(ReplySchema):
    """A message on its way to a sink."""

    id: str
    object: Literal["delivery"]
    state: DeliveryState
    kind: MessageKind
    sink: str
    attempts: int
    last_error: str | None
    created_at: str
    next_at: str | None
    give_up_at: str
    message: MessageReply


class DeliveryList(ReplySchema):
    """Deliveries, newest first."""

    object: Literal["list"]
    data: list[DeliveryReply]
