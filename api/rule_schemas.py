"""Wire schemas of rules: bodies and queries, every field with its range.

What hangs on other fields or on settings is checked by ``contracts.rule_checks``.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.query import QuerySchema
from api.stream_schemas import StreamId as Id
from api.wire_schemas import Count, Seconds, WireSchema
from contracts.notify import MAX_URL_CHARS
from contracts.rule_checks import (
    INTERVAL_S,
    MAX_CONFIRM,
    MAX_COOLDOWN_S,
    MAX_NAME_CHARS,
    MAX_TARGETS,
)
from contracts.rules import Severity, Weekday

MAX_JPS_ALERTS = 10
MAX_JPS_CHARS = 100

TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Threshold = Annotated[float, Field(ge=0, le=1)]
Confirmations = Annotated[int, Field(ge=1, le=MAX_CONFIRM)]


class StrictSchema(WireSchema):
    """An object in which unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class WindowFields(StrictSchema):
    """What one look sees: frames spread over the last seconds, the newest included."""

    seconds: Seconds | None = Field(
        default=None, description="At most VLM_RING_SECONDS; 0 is the newest frame alone; default 2"
    )
    frames: Count | None = Field(default=None, description="At most VLM_MAX_FRAMES; default 4")


class ConfirmFields(StrictSchema):
    """How many of the last known looks decide."""

    n: Confirmations | None = Field(default=None, description="At most of; default 2")
    of: Confirmations | None = Field(default=None, description="Default 3")


class DailyWindowBody(StrictSchema):
    """From a time of day to another; an end not after the start is on the next day."""

    days: list[Weekday] = Field(min_length=1, max_length=7)
    start: TimeOfDay = Field(alias="from", description="HH:MM")
    end: TimeOfDay = Field(alias="to", description="HH:MM")


class ScheduleBody(StrictSchema):
    """When a rule is in force."""

    timezone: str = Field(description="A name of the IANA database, such as Europe/Berlin")
    windows: list[DailyWindowBody] = Field(min_length=1, max_length=50)


class WebhookBody(StrictSchema):
    """A URL that messages are posted to."""

    url: Annotated[str, Field(max_length=MAX_URL_CHARS)]
    secret: str | None = Field(default=None, description="Signs messages; never shown again")
    on: list[Literal["begin", "update", "end"]] | None = Field(
        default=None, description="Default: begin and end"
    )


class AppriseBody(StrictSchema):
    """Any Apprise service; only where VLM_API_KEYS is set."""

    apprise: Annotated[str, Field(max_length=MAX_URL_CHARS)]
    on: list[Literal["begin", "update", "end"]] | None = Field(
        default=None, description="Default: begin and end"
    )


NotifyEntry = str | WebhookBody | AppriseBody


class RuleFields(StrictSchema):
    """What a person configures of a rule; unknown fields are refused."""

    name: Annotated[str, Field(max_length=MAX_NAME_CHARS)] | None = Field(
        default=None, description="For people; default: the prompt"
    )
    stream_id: Id | None = Field(
        default=None, description="null: every stream, those to come too; each has its own events"
    )
    window: WindowFields | None = None
    interval_s: Annotated[float, Field(ge=INTERVAL_S[0], le=INTERVAL_S[1])] | None = Field(
        default=None, description="Aim for the time between two looks; default 2"
    )
    on_threshold: Threshold | None = Field(default=None, description="Default 0.6")
    off_threshold: Threshold | None = Field(
        default=None, description="Not above on_threshold; default 0.4"
    )
    confirm: ConfirmFields | None = None
    cooldown_s: Annotated[float, Field(ge=0, le=MAX_COOLDOWN_S)] | None = Field(
        default=None, description="Least time between two begins that are told; default 60"
    )
    severity: Severity | None = Field(default=None, description="Default warning")
    enabled: bool | None = Field(default=None, description="Default true")
    schedule: ScheduleBody | None = Field(default=None, description="null: always")
    notify: Annotated[list[NotifyEntry], Field(max_length=MAX_TARGETS)] | None = Field(
        default=None, description="Names of VLM_SINKS or sinks; null: VLM_DEFAULT_NOTIFY"
    )


class RuleBody(RuleFields):
    """A new rule."""

    prompt: str = Field(description="A yes/no question, 1 to 500 characters")
    id: Id | None = Field(default=None, description="Default: a UUID4")


class RulePatch(RuleFields):
    """What is to change of a rule."""

    prompt: str | None = None


class RulesQuery(QuerySchema):
    """Which rules to list."""

    stream_id: str | None = Field(default=None, description="Those that look at this stream")
    enabled: Literal["true", "false"] | None = Field(default=None, description="Only such")


class RuleTestBody(StrictSchema):
    """Where to try a rule out."""

    stream_id: str | None = Field(default=None, description="Default: every stream of the rule")


class JpsAlertsBody(WireSchema):
    """The façade's rules, all of them or those of one stream."""

    alerts: list[Annotated[str, Field(min_length=1, max_length=MAX_JPS_CHARS)]] = Field(
        max_length=MAX_JPS_ALERTS, description="Yes/no questions; an empty list clears"
    )
    id: str | None = Field(default=None, description="A stream; empty: every stream")
