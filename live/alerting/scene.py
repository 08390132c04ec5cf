"""What is known now: rules, streams, and how each rule stands on each stream. Not thread-safe."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from contracts.errors import StreamNotFound
from contracts.rules import Rule, RuleCondition, RuleStatus
from live.alerting.event_ids import NewEventId
from live.alerting.rule_book import RuleBook
from live.alerting.rule_run import RuleRun, Standing
from live.alerting.stream_health import StreamHealth
from live.alerting.tally import Tally

Key = tuple[str, str]  # rule, stream


@dataclass(slots=True, eq=False)
class Scene:
    """Everything in memory; ``live.alerting.draft`` changes it, once what changed is stored.

    Attributes:
        healths: By stream; only of streams that are stored.
        standings: Without those where nothing happened yet.
    """

    rules: RuleBook
    new_id: NewEventId
    healths: dict[str, StreamHealth] = field(default_factory=dict)
    standings: dict[Key, Standing] = field(default_factory=dict)
    tallies: dict[Key, Tally] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[Rule, str]]:
        """Every rule with every stream it covers."""
        for rule in self.rules.all():
            for stream_id in self.streams_of(rule):
                yield rule, stream_id

    def streams_of(self, rule: Rule) -> list[str]:
        """The streams that a rule covers now."""
        return [stream_id for stream_id in self.healths if rule.covers(stream_id)]

    def require_stream(self, stream_id: str | None) -> None:
        """Refuse the id of a stream that there is not; ``None`` is every stream.

        Raises:
            StreamNotFound: The message lists those there are.
        """
        if stream_id is not None and stream_id not in self.healths:
            known = ", ".join(sorted(self.healths)) or "none yet"
            raise StreamNotFound(f"there is no such stream: expected one of {known}")

    def run(self, rule: Rule, stream_id: str) -> RuleRun:
        """What decides for a rule on a stream."""
        return RuleRun(rule, self.healths[stream_id], self.new_id)

    def standing(self, key: Key) -> Standing:
        """How a rule stands on a stream."""
        return self.standings.get(key) or Standing()

    def tally(self, key: Key) -> Tally:
        """What was counted of a rule on a stream."""
        return self.tallies.setdefault(key, Tally())

    def forget(self, key: Key) -> None:
        """Forget how a rule stood on a stream."""
        self.standings.pop(key, None)
        self.tallies.pop(key, None)

    def forget_counts(self, key: Key) -> None:
        """Begin to count anew."""
        self.tallies.pop(key, None)

    def statuses(self, rule: Rule, now: datetime) -> tuple[RuleStatus, ...]:
        """How a rule stands on each of its streams."""
        return tuple(self._status(rule, stream_id, now) for stream_id in self.streams_of(rule))

    def condition(self, rule: Rule, stream_id: str, now: datetime) -> RuleCondition:
        """The state of API.md 5.1 in one word."""
        key = (rule.id, stream_id)
        standing, last = self.standing(key), self.tally(key).last
        if self.run(rule, stream_id).idle_reason(now) is not None:
            return "idle"
        if standing.evaluation.event is not None:
            return "not_evaluated"
        if last is not None and not last.known:
            return "unknown"
        if standing.state.event is not None:
            return "on"
        return "unknown" if last is None else "off"

    def _status(self, rule: Rule, stream_id: str, now: datetime) -> RuleStatus:
        key = (rule.id, stream_id)
        event, tally = self.standing(key).state.event, self.tally(key)
        return RuleStatus(
            stream_id=stream_id,
            state=self.condition(rule, stream_id, now),
            score=tally.score,
            known=None if tally.last is None else tally.last.known,
            last_look_at=None if tally.last is None else tally.last.at,
            achieved_interval_s=tally.achieved_interval_s,
            num_looks=tally.num_looks,
            num_unknown=tally.verdicts["unknown"],
            num_skipped=tally.num_skipped,
            event_id=None if event is None else event.id,
        )
