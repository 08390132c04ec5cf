"""What to watch for: a yes/no question, how sure is sure, when, and who is told.

Values only; what a rule does is ``live.alerting.rule_state``'s decision. Moments are
aware UTC datetimes.
"""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal

from contracts.notify import NotifyTarget

Severity = Literal["info", "warning", "critical"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
RuleSource = Literal["native", "jps"]
RuleCondition = Literal["on", "off", "unknown", "not_evaluated", "idle"]


@dataclass(frozen=True, slots=True)
class Window:
    """What one look sees: ``num_frames`` frames spread over the last ``seconds``.

    The newest frame is always one of them; with 0 seconds it is the only one.
    """

    seconds: float = 2.0
    num_frames: int = 4


@dataclass(frozen=True, slots=True)
class Confirm:
    """``n`` of the last ``of`` known looks decide."""

    n: int = 2
    of: int = 3


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """From ``start`` to ``end`` on these days; an end not after the start is on the next day."""

    days: tuple[Weekday, ...]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule is in force; ``timezone`` is a name of the IANA database."""

    timezone: str
    windows: tuple[DailyWindow, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A question that is put to live streams again and again.

    Attributes:
        stream_id: ``None`` is every stream, those to come too; each has a state of its own.
        interval_s: Aim for the time between two looks.
        on_threshold: Scores from here up speak for on, 0 to 1.
        off_threshold: Scores up to here speak for off; not above ``on_threshold``.
        cooldown_s: Least time between two notifications that something began.
        notify: ``None`` is VLM_DEFAULT_NOTIFY.
        source: ``jps`` for rules of the façade, whose place in its list is ``alert_number``.
    """

    id: str
    prompt: str
    name: str
    created_at: datetime
    updated_at: datetime
    stream_id: str | None = None
    window: Window = Window()
    interval_s: float = 2.0
    on_threshold: float = 0.6
    off_threshold: float = 0.4
    confirm: Confirm = Confirm()
    cooldown_s: float = 60.0
    severity: Severity = "warning"
    enabled: bool = True
    schedule: Schedule | None = None
    notify: tuple[NotifyTarget, ...] | None = None
    source: RuleSource = "native"
    alert_number: str | None = None

    def covers(self, stream_id: str) -> bool:
        """Whether the rule is put to this stream."""
        return self.stream_id in (None, stream_id)

    def asks_like(self, other: "Rule") -> bool:
        """Whether what one found says something about the other: same question, same frames."""
        ours = (self.prompt, self.window, self.stream_id)
        return ours == (other.prompt, other.window, other.stream_id)


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """How a rule stands on one stream.

    Attributes:
        score: Of the last known look; ``None`` before it.
        known: Whether the last look was known; ``None`` before any.
        achieved_interval_s: Mean time between the latest looks; ``None`` before the second.
        num_looks: Since the service started, ``num_unknown`` of them not known.
        num_skipped: Looks that were not made because the picture had not changed.
        event_id: Of the open event.
    """

    stream_id: str
    state: RuleCondition
    score: float | None = None
    known: bool | None = None
    last_look_at: datetime | None = None
    achieved_interval_s: float | None = None
    num_looks: int = 0
    num_unknown: int = 0
    num_skipped: int = 0
    event_id: str | None = None
