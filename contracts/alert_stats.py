"""What alerts have done and are doing, counted since the start: for metrics and the status.

Snapshots only. Moments are aware UTC datetimes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.events import EventType, Verdict
from contracts.feeds import ReaderKind
from contracts.latencies import Histogram
from contracts.notify import MessageKind, SinkKind
from contracts.rules import Rule, RuleStatus, Severity

Attempted = Literal["ok", "retry", "dead"]


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits to be delivered: ``depth`` messages, the oldest since ``oldest_at``."""

    depth: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class RuleStats:
    """A rule on a stream: how it stands, and its looks by what they said."""

    rule: Rule
    status: RuleStatus
    verdicts: Mapping[Verdict, int]


@dataclass(frozen=True, slots=True)
class AlertStats:
    """One look at all of it.

    Attributes:
        looks: From the newest frame's capture to the verdict.
        events: Messages about events.
        attempts: Of deliveries.
        backlog: ``None`` while the store cannot be read.
        readers: Open feeds.
    """

    at: datetime
    rules: Sequence[RuleStats]
    looks: Histogram
    events: Mapping[tuple[EventType, Severity, MessageKind], int]
    attempts: Mapping[tuple[SinkKind, Attempted], int]
    backlog: Backlog | None
    readers: Mapping[ReaderKind, int]

    @property
    def oldest_s(self) -> float | None:
        """Age of the oldest delivery that waits; ``None`` where none does, or nobody knows."""
        if self.backlog is None or self.backlog.oldest_at is None:
            return None
        return (self.at - self.backlog.oldest_at).total_seconds()
