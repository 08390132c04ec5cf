"""What replies about rules look like, for the OpenAPI document."""

from typing import Literal

from pydantic import Field

from api.reply_schemas import ReplySchema
from contracts.events import Verdict
from contracts.notify import MessageKind
from contracts.rules import RuleCondition, RuleSource, Severity, Weekday


class WindowReply(ReplySchema):
    """What one look sees."""

    seconds: float
    frames: int


class ConfirmReply(ReplySchema):
    """How many of the last known looks decide."""

    n: int
    of: int


class DailyWindowReply(ReplySchema):
    """From a time of day to another."""

    days: list[Weekday]
    start: str = Field(alias="from")
    end: str = Field(alias="to")


class ScheduleReply(ReplySchema):
    """When a rule is in force."""

    timezone: str
    windows: list[DailyWindowReply]


class WebhookReply(ReplySchema):
    """A webhook without its path."""

    url: str
    secret: Literal["***"] | None = None
    on: list[MessageKind]


class AppriseReply(ReplySchema):
    """An Apprise service without its address."""

    apprise: str
    on: list[MessageKind]


class RuleStatusReply(ReplySchema):
    """How a rule stands on one stream."""

    stream_id: str
    state: RuleCondition
    score: float | None
    known: bool | None
    last_look_at: str | None
    achieved_interval_s: float | None
    num_looks: int
    num_unknown: int
    event_id: str | None


class RuleReply(ReplySchema):
    """A rule; notify is VLM_DEFAULT_NOTIFY where nobody said."""

    id: str
    object: Literal["rule"]
    prompt: str
    name: str
    stream_id: str | None
    window: WindowReply
    interval_s: float
    on_threshold: float
    off_threshold: float
    confirm: ConfirmReply
    cooldown_s: float
    severity: Severity
    enabled: bool
    schedule: ScheduleReply | None
    notify: list[str | WebhookReply | AppriseReply]
    created_at: str
    updated_at: str
    source: RuleSource
    alert_number: str | None
    status: list[RuleStatusReply]


class RuleList(ReplySchema):
    """Rules, in the order they were added."""

    object: Literal["list"]
    data: list[RuleReply]


class RuleDeleted(ReplySchema):
    """A rule that is no more."""

    id: str
    object: Literal["rule"]
    deleted: Literal[True]


class RuleTestResult(ReplySchema):
    """What one look at one stream said, or the code of what stood in its way."""

    stream_id: str
    score: float | None
    known: bool | None
    verdict: Verdict | None
    frame_times: list[str]
    latency_ms: int | None
    error: str | None


class RuleTestReply(ReplySchema):
    """One look at each stream of a rule; it counts for nothing."""

    object: Literal["rule.test"]
    rule_id: str
    results: list[RuleTestResult]


class JpsAlert(ReplySchema):
    """A rule of the façade."""

    alert_number: str
    alert_string: str
    id: str
    status: Literal[0, 1]
    rule_id: str
