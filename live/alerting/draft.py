"""One change to the scene before it is stored: what is told, what is written, what will be so.

A draft that is never applied changes nothing. Not thread-safe.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from contracts.errors import EventNotFound
from contracts.events import ClipState, EndReason, Event, Look, Verdict
from contracts.notify import NotifyTarget
from contracts.rules import Rule
from contracts.streams import StreamState
from live.alerting.evidence import EvidenceName
from live.alerting.journal import Entry
from live.alerting.notice import Notice
from live.alerting.rule_run import Outcome, RuleRun, Standing
from live.alerting.rule_state import side_of, verdict
from live.alerting.scene import Key, Scene
from live.alerting.stream_health import StreamHealth, remove, turn
from live.store import configuration, events

Work = Callable[[Connection], None]


class Draft:
    """What is decided at one moment.

    Attributes:
        now: The moment.
        entries: Messages to store, in order.
        pictures: Evidence to write before: event and name.
        keeps_pictures: Whether evidence can be written at all.
    """

    def __init__(
        self, scene: Scene, default_targets: tuple[NotifyTarget, ...], now: datetime
    ) -> None:
        self.now = now
        self.entries: list[Entry] = []
        self.pictures: list[tuple[str, EvidenceName]] = []
        self.keeps_pictures = False
        self._scene = scene
        self._default_targets = default_targets
        self._works: list[Work] = []
        self._standings: dict[Key, Standing | None] = {}
        self._healths: dict[str, StreamHealth | None] = {}
        self._counted: list[tuple[Key, Look, Verdict]] = []
        self._thens: list[Callable[[], None]] = []

    @property
    def is_stored(self) -> bool:
        """Whether anything of it belongs into the store."""
        return bool(self.entries or self._works)

    def also(self, work: Work) -> None:
        """Write something else in the same transaction."""
        self._works.append(work)

    def then(self, call: Callable[[], None]) -> None:
        """Call this once everything is stored."""
        self._thens.append(call)

    def write(self, connection: Connection) -> None:
        """Write all but the messages."""
        for work in self._works:
            work(connection)

    def apply(self) -> None:
        """Make the scene what the draft says."""
        for stream_id, health in self._healths.items():
            if health is None:
                self._scene.healths.pop(stream_id, None)
            else:
                self._scene.healths[stream_id] = health
        for key, look, said in self._counted:
            self._scene.tally(key).count(look, said, self.now)
        for key, standing in self._standings.items():
            if standing is None:
                self._scene.forget(key)
            else:
                self._scene.standings[key] = standing
        for then in self._thens:
            then()

    def put_rule(self, rule: Rule) -> None:
        """Add a rule, or replace the one with its id."""
        self.also(lambda connection: configuration.put_rule(connection, rule))
        self.then(lambda: self._scene.rules.put(rule))

    def remove_rule(self, rule: Rule) -> None:
        """Remove a rule; what it has on streams is to be dropped before."""
        self.also(lambda connection: configuration.delete_rule(connection, rule.id))
        self.then(lambda: self._scene.rules.remove(rule))

    def advance(self, rule: Rule, stream_id: str) -> None:
        """Let time, or a change of the stream or of the rule's settings, have its effect."""
        key = (rule.id, stream_id)
        self._take(rule, key, self._run(rule, stream_id).advance(self._standing(key), self.now))

    def see(self, rule: Rule, stream_id: str, look: Look) -> None:
        """Weigh a look."""
        key = (rule.id, stream_id)
        before = self._standing(key)
        outcome = self._run(rule, stream_id).see(before, look, self.now)
        self._take(rule, key, outcome)
        self._counted.append((key, look, verdict(rule, look)))
        self._note_pictures(before, outcome)

    def end(self, rule: Rule, stream_id: str, reason: EndReason) -> None:
        """End what is open and forget what was seen."""
        key = (rule.id, stream_id)
        self._take(rule, key, self._run(rule, stream_id).end(self._standing(key), reason, self.now))

    def reset(self, rule: Rule, stream_id: str) -> None:
        """End what is open of a rule that asks something else from now on; also its counts go."""
        self.end(rule, stream_id, "rule_changed")
        self.then(lambda: self._scene.forget_counts((rule.id, stream_id)))

    def drop(self, rule: Rule, stream_id: str, reason: EndReason) -> None:
        """End what is open and forget the rule on this stream."""
        self.end(rule, stream_id, reason)
        self._standings[rule.id, stream_id] = None
        self.also(lambda c: configuration.delete_standing(c, rule.id, stream_id))

    def health(self, stream_id: str) -> StreamHealth | None:
        """What is known of a stream, if there is one."""
        if stream_id in self._healths:
            return self._healths[stream_id]
        return self._scene.healths.get(stream_id)

    def turn(self, health: StreamHealth, state: StreamState) -> None:
        """Take note of a stream's state."""
        step = turn(health, state, self.now, self._scene.new_id)
        self._healths[health.stream_id] = step.health
        self._tell(step.notices, self._default_targets)

    def put_health(self, health: StreamHealth) -> None:
        """Take note of something else about a stream."""
        self._healths[health.stream_id] = health

    def remove_stream(self, stream_id: str) -> None:
        """Take note that a stream was deleted."""
        health = self.health(stream_id)
        if health is not None:
            self._healths[stream_id] = None
            self._tell(remove(health, self.now).notices, self._default_targets)

    def set_clip(self, event_id: str, clip: ClipState) -> None:
        """Say whether an event has its clip now."""
        for key, standing in self._scene.standings.items():
            event = standing.state.event
            if event is not None and event.id == event_id:
                changed = replace(standing.state, event=_with_clip(event, clip))
                self._put(key, replace(standing, state=changed))

        def work(connection: Connection) -> None:
            try:
                event = events.get_event(connection, event_id)
            except EventNotFound:
                return  # its time was over meanwhile
            events.put_event(connection, _with_clip(event, clip))

        self.also(work)

    def _run(self, rule: Rule, stream_id: str) -> RuleRun:
        health = self._healths.get(stream_id) or self._scene.healths[stream_id]
        return RuleRun(rule, health, self._scene.new_id)

    def _standing(self, key: Key) -> Standing:
        return self._standings.get(key) or self._scene.standing(key)

    def _take(self, rule: Rule, key: Key, outcome: Outcome) -> None:
        before, after = self._standing(key), outcome.standing
        for notice in outcome.notices:
            is_ours = notice.event.type == "alert" and rule.notify is not None
            self._tell((notice,), (rule.notify or ()) if is_ours else self._default_targets)
        if outcome.notices or _memory(rule, before) != _memory(rule, after):
            self._put(key, after)
        else:
            self._standings[key] = after

    def _put(self, key: Key, standing: Standing) -> None:
        self._standings[key] = standing
        self.also(lambda connection: configuration.put_standing(connection, *key, standing))

    def _tell(self, notices: Sequence[Notice], targets: tuple[NotifyTarget, ...]) -> None:
        self.entries += [Entry(notice, targets) for notice in notices]

    def _note_pictures(self, before: Standing, outcome: Outcome) -> None:
        old, event = before.state.event, outcome.standing.state.event
        if event is None or event.evidence is None:
            return
        if old is None and event.evidence.has_frame:
            self.pictures.append((event.id, "begin.jpg"))
        elif old is not None and event.evidence.has_peak and _peak(event) > _peak(old):
            self.pictures.append((event.id, "peak.jpg"))


def _memory(rule: Rule, standing: Standing) -> tuple[object, ...]:
    """What a restart should not lose; while it stays the same, a look need not be written."""
    state = standing.state
    sides = tuple(side_of(rule, look.p_yes) for look in state.looks)
    return (sides, None if state.event is None else _peak(state.event))


def _peak(event: Event) -> float:
    return 0.0 if event.score is None else event.score.peak


def _with_clip(event: Event, clip: ClipState) -> Event:
    kept = event.evidence
    return event if kept is None else replace(event, evidence=replace(kept, clip=clip))
