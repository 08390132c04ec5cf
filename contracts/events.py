"""What happened in front of a camera: looks, events, and the messages about them.

Values only. Moments are aware UTC datetimes; those of an alert are times of frames, not of sending.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.notify import MessageKind, Sink
from contracts.rules import Severity

EventType = Literal["alert", "stream_lost", "not_evaluated"]
EndReason = Literal[
    "cleared",
    "stream_lost",
    "stream_ended",
    "schedule",
    "rule_changed",
    "rule_deleted",
    "stream_deleted",
]
Verdict = Literal["yes", "no", "unsure", "unknown"]
ClipState = Literal["none", "pending", "ready"]
DeliveryState = Literal["pending", "done", "dead"]


@dataclass(frozen=True, slots=True)
class Look:
    """What the model said about one rule and the frames it was shown.

    Attributes:
        p_yes: Score, 0 to 1.
        known: False when the answer was neither yes nor no; the score then means nothing.
        frame_times: When its frames were captured, in order; the newest dates the look.
        has_picture: Whether its newest frame can be kept as evidence.
        has_clip: Whether a clip of what it begins will be written.
        model: Name of the model that was asked.
    """

    p_yes: float
    known: bool
    frame_times: tuple[datetime, ...]
    has_picture: bool = False
    has_clip: bool = False
    model: str | None = None

    @property
    def at(self) -> datetime:
        """When the newest frame was captured."""
        return self.frame_times[-1]


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of an event's known looks: the one that began it, the highest, the newest."""

    begin: float
    peak: float
    last: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is kept to show what happened, whether or not the budget took it since."""

    has_frame: bool = False
    has_peak: bool = False
    clip: ClipState = "none"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that began and perhaps ended, as of its latest message.

    What does not apply to its type is ``None``. Prompt and names are those of the moment.

    Attributes:
        id: Sortable by time.
        suppressed: Whether it began within the rule's cooldown, and sinks do not know of it.
        rule_id: ``None`` for an event of the stream alone.
        alert_number: Place of a façade rule in its list.
        began_at: Newest frame of the look that began it, or the moment the system noticed.
        frame_times: Of the look that began it.
        num_looks: Since it began, the first and unknown ones included.
        cursor: Of its latest message; 0 before it is stored.
    """

    id: str
    type: EventType
    severity: Severity
    stream_id: str
    stream_name: str
    began_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    suppressed: bool = False
    rule_id: str | None = None
    rule_name: str | None = None
    prompt: str | None = None
    alert_number: str | None = None
    score: Score | None = None
    num_looks: int | None = None
    frame_times: tuple[datetime, ...] | None = None
    model: str | None = None
    evidence: Evidence | None = None
    cursor: int = 0

    @property
    def state(self) -> Literal["open", "ended"]:
        """Whether it goes on."""
        return "open" if self.ended_at is None else "ended"


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One stored message about an event; cursors count messages without a gap."""

    cursor: int
    kind: MessageKind
    at: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one sink.

    Attributes:
        id: The same on every attempt; sinks know repeats by it.
        kind: What the sink is told; ``begin`` for the update that ends a suppression.
        num_attempts: Made so far.
        next_at: Not tried again before.
        give_up_at: An attempt that fails from then on is the last.
        last_error: Why the latest attempt failed, without any address.
    """

    id: str
    message: EventMessage
    sink: Sink
    kind: MessageKind
    state: DeliveryState
    num_attempts: int
    created_at: datetime
    next_at: datetime
    give_up_at: datetime
    last_error: str | None = None
