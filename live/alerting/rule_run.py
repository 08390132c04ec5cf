"""A rule on a stream as a whole: alert, evaluation, schedule and the stream's own troubles.

Pure. Source: API.md 5.1 (``state``) and 5.3 (5).
"""

from dataclasses import dataclass, field
from datetime import datetime

from contracts.events import EndReason, Look
from contracts.rules import Rule
from live.alerting.evaluation import Evaluation, EvaluationWatch
from live.alerting.event_ids import NewEventId
from live.alerting.notice import Notice
from live.alerting.rule_state import RuleOnStream, RuleState
from live.alerting.schedule import is_in_force
from live.alerting.stream_health import StreamHealth


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is remembered of a rule on a stream, and all that a restart needs."""

    state: RuleState = field(default_factory=RuleState)
    evaluation: Evaluation = field(default_factory=Evaluation)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The standing after something happened, and what is to be told of it, in order."""

    standing: Standing
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleRun:
    """Decides for one rule on one stream; every method leaves its arguments as they are."""

    rule: Rule
    health: StreamHealth
    new_id: NewEventId
    alert: RuleOnStream = field(init=False)
    watch: EvaluationWatch = field(init=False)

    def __post_init__(self) -> None:
        scene = (self.rule, self.health.stream_id, self.health.name, self.new_id)
        object.__setattr__(self, "alert", RuleOnStream(*scene))
        object.__setattr__(self, "watch", EvaluationWatch(*scene))

    def idle_reason(self, now: datetime) -> EndReason | None:
        """Why nothing is expected of the rule here now, if so."""
        if not self.rule.enabled:
            return "rule_changed"
        if self.health.is_over:
            return "stream_ended"
        return None if is_in_force(self.rule.schedule, now) else "schedule"

    def advance(self, standing: Standing, now: datetime) -> Outcome:
        """Take note that time passed, or that the stream or the rule's settings changed."""
        reason = self.idle_reason(now)
        if reason is not None:
            return self.end(standing, reason, now)
        if self.health.is_lost_for_good(now):
            step = self.alert.end(standing.state, "stream_lost", now)
        else:
            step = self.alert.let_out(standing.state, now)
        waited = self.watch.wait(standing.evaluation, now)
        return Outcome(Standing(step.state, waited.evaluation), step.notices + waited.notices)

    def see(self, standing: Standing, look: Look, now: datetime) -> Outcome:
        """Weigh a look; what was asked while nothing is expected any more counts for nothing."""
        if self.idle_reason(now) is not None or self.health.is_lost_for_good(now):
            return self.advance(standing, now)
        step = self.alert.see(standing.state, look, now)
        waited = (
            self.watch.see(standing.evaluation, now)
            if look.known
            else self.watch.wait(standing.evaluation, now)
        )
        return Outcome(Standing(step.state, waited.evaluation), step.notices + waited.notices)

    def end(self, standing: Standing, reason: EndReason, now: datetime) -> Outcome:
        """End what is open and forget what was seen."""
        step = self.alert.end(standing.state, reason, now)
        stopped = self.watch.stop(standing.evaluation, reason, now)
        return Outcome(Standing(step.state, stopped.evaluation), step.notices + stopped.notices)
