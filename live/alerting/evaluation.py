"""Whether a rule is being evaluated at all: the event for one that has had no known look too long.

Pure. Source: API.md 5.1 (``not_evaluated``) and 5.3 (6).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.events import EndReason, Event
from contracts.rules import Rule
from live.alerting.event_ids import NewEventId
from live.alerting.notice import Notice, begun, ended

MIN_PATIENCE_S = 60.0
INTERVALS = 10


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Since when a rule in force has waited for a known look, and the event if that is too long.

    ``waiting_since`` is ``None`` while nothing is expected of the rule.
    """

    waiting_since: datetime | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class EvaluationStep:
    """The evaluation after something happened, and what is to be told of it."""

    evaluation: Evaluation
    notices: tuple[Notice, ...] = ()


def patience_s(rule: Rule) -> float:
    """Seconds without a known look after which a rule counts as not evaluated."""
    return max(INTERVALS * rule.interval_s, MIN_PATIENCE_S)


@dataclass(frozen=True, slots=True)
class EvaluationWatch:
    """Decides for one rule on one stream; every method leaves its arguments as they are."""

    rule: Rule
    stream_id: str
    stream_name: str
    new_id: NewEventId

    def wait(self, evaluation: Evaluation, now: datetime) -> EvaluationStep:
        """Go on waiting for a known look, for the first time or still."""
        if evaluation.event is not None:
            return EvaluationStep(evaluation)
        since = evaluation.waiting_since or now
        if now - since < timedelta(seconds=patience_s(self.rule)):
            return EvaluationStep(replace(evaluation, waiting_since=since))
        event = self._event(now)
        return EvaluationStep(Evaluation(since, event), (begun(event, now),))

    def see(self, evaluation: Evaluation, now: datetime) -> EvaluationStep:
        """Take note of a known look, from which the waiting begins anew."""
        return EvaluationStep(Evaluation(waiting_since=now), _ending(evaluation, "cleared", now))

    def stop(self, evaluation: Evaluation, reason: EndReason, now: datetime) -> EvaluationStep:
        """Expect nothing any more."""
        return EvaluationStep(Evaluation(), _ending(evaluation, reason, now))

    def _event(self, now: datetime) -> Event:
        return Event(
            id=self.new_id(now),
            type="not_evaluated",
            severity="warning",
            rule_id=self.rule.id,
            rule_name=self.rule.name,
            prompt=self.rule.prompt,
            alert_number=self.rule.alert_number,
            stream_id=self.stream_id,
            stream_name=self.stream_name,
            began_at=now,
            updated_at=now,
        )


def _ending(evaluation: Evaluation, reason: EndReason, now: datetime) -> tuple[Notice, ...]:
    event = evaluation.event
    return () if event is None else (ended(event, reason, now, now),)
