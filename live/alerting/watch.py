"""Streams and looks: what is due, what it found, and what becomes of streams that come and go.

Belongs to one event loop.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from contracts.events import Event, EventMessage
from contracts.latencies import Latencies
from contracts.rules import Rule
from contracts.streams import StreamChange, StreamConfig
from live.alerting.change_gate import ChangeGate, Sight
from live.alerting.decider import Decider
from live.alerting.draft import Draft
from live.alerting.look_planner import LookPlan, LookPlanner
from live.alerting.looks import LookBatch
from live.alerting.stream_health import StreamHealth
from live.store import configuration

LOOK_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


class Watch:
    """All rules on all streams.

    Attributes:
        latencies: From the newest frame's capture to the verdict.
    """

    def __init__(self, decider: Decider, gate: ChangeGate) -> None:
        self.latencies = Latencies(LOOK_BOUNDS_S)
        self._decider = decider
        self._scene = decider.scene
        self._gate = gate
        self._planner = LookPlanner()
        self._changes: deque[StreamChange] = deque()
        self._early: dict[str, StreamChange] = {}

    def resume(self, streams: Iterable[StreamConfig], lost: Mapping[str, Event]) -> None:
        """Take over what was there before a restart.

        Args:
            streams: Those that are stored.
            lost: Open ``stream_lost`` events, by stream.
        """
        for config in streams:
            event = lost.get(config.id)
            since = None if event is None else event.began_at
            health = replace(_new_health(config), lost_since=since, event=event)
            self._scene.healths[config.id] = health

    async def put_stream(self, config: StreamConfig) -> None:
        """Store a stream, or what changed of it, for the next start; from now on rules know it.

        Raises:
            StorageUnavailable: It is not stored.
        """

        def decide(draft: Draft) -> None:
            draft.also(lambda connection: configuration.put_stream(connection, config))
            health, name = draft.health(config.id), config.name or config.id
            draft.put_health(replace(health, name=name) if health else _new_health(config))
            early = self._early.get(config.id)
            if early is not None:
                self._take_change(draft, early)
                draft.then(lambda: self._forget_early(config.id))
            self._take_changes(draft)

        await self._decider.decide(decide)

    async def remove_stream(self, stream_id: str) -> None:
        """Forget a stream; its rules go with it, its events end and stay.

        Raises:
            StorageUnavailable: Nothing happened.
        """

        def decide(draft: Draft) -> None:
            draft.also(lambda connection: configuration.delete_stream(connection, stream_id))
            self._take_changes(draft)
            draft.then(lambda: self._forget_early(stream_id))
            if draft.health(stream_id) is None:
                return
            for rule in self._scene.rules.all():
                if rule.covers(stream_id):
                    draft.drop(rule, stream_id, "stream_deleted")
                if rule.stream_id == stream_id:
                    draft.remove_rule(rule)
            draft.remove_stream(stream_id)

        await self._decider.decide(decide)

    async def stream_changed(self, change: StreamChange) -> None:
        """Take note of a stream's new state, which counts as soon as the stream is stored.

        That of one that was removed meanwhile counts for nothing.

        Raises:
            StorageUnavailable: Nothing happened yet; the next change or tick takes note of it.
        """
        self._changes.append(change)
        await self._decider.decide(self._take_changes)

    async def tick(self) -> list[EventMessage]:
        """Let time have its effect; to be called every second or so.

        Raises:
            StorageUnavailable: Nothing happened; the next tick tries again.
        """

        def decide(draft: Draft) -> None:
            self._take_changes(draft)
            for rule, stream_id in self._scene.pairs():
                draft.advance(rule, stream_id)

        return await self._decider.decide(decide)

    def plan(self, now_s: float, newest: Mapping[str, int]) -> list[LookPlan]:
        """What is to be asked now; ``finish`` each plan, whatever comes of it.

        Args:
            now_s: On the clock of ``time.monotonic``.
            newest: Sequence of each stream's newest frame.
        """
        now = self._decider.now()
        expected = [
            (rule, stream_id)
            for rule, stream_id in self._scene.pairs()
            if self._scene.run(rule, stream_id).idle_reason(now) is None
        ]
        self._gate.keep_only({(rule.id, stream_id) for rule, stream_id in expected})
        return self._planner.plan(now_s, expected, newest)

    def rules_to_ask(self, plan: LookPlan, sight: Sight, now_s: float) -> tuple[Rule, ...]:
        """A plan's rules without those that would see what they were asked about already.

        Args:
            plan: What is due.
            sight: Of the frames it would be shown, by ``change_gate.see``.
            now_s: As for ``plan``.
        """
        asked = []
        for rule in plan.rules:
            if self._still_asking(rule, plan.stream_id) is None:
                continue
            if self._may_skip(rule, plan.stream_id, sight, now_s):
                self._scene.tally((rule.id, plan.stream_id)).num_skipped += 1
            else:
                asked.append(rule)
        return tuple(asked)

    def finish(self, plan: LookPlan) -> None:
        """Take note that a plan was asked, or could not be."""
        self._planner.finish(plan)

    def next_due_s(self) -> float | None:
        """When a rule is due next, on the clock of ``plan``."""
        return self._planner.next_due_s()

    async def apply(self, batch: LookBatch, now_s: float) -> list[EventMessage]:
        """Weigh looks; what they began, went on with or ended is stored and told.

        Looks for rules that ask something else by now, or are gone, count for nothing.

        Raises:
            StorageUnavailable: The looks were not made.
        """

        def decide(draft: Draft) -> None:
            for rule, look in batch.looks():
                current = self._still_asking(rule, batch.stream_id)
                if current is not None:
                    seen = look if draft.keeps_pictures else replace(look, has_picture=False)
                    draft.see(current, batch.stream_id, seen)

        age = self._decider.now() - batch.frame_times[-1]
        self.latencies.count(age.total_seconds())
        messages = await self._decider.decide(decide, batch.rgb)
        if batch.sight is not None:
            for rule in batch.rules:
                self._gate.judged(rule, batch.stream_id, batch.sight, now_s)
        return messages

    async def clip_done(self, event_id: str, *, is_ready: bool) -> None:
        """Take note that an event's clip was written, or that there will be none.

        Raises:
            StorageUnavailable: It still counts as to come.
        """
        await self._decider.decide(
            lambda draft: draft.set_clip(event_id, "ready" if is_ready else "none")
        )

    def _take_changes(self, draft: Draft) -> None:
        """Let all changes have their effect that had none yet."""
        changes = [*self._changes]
        for change in changes:
            self._take_change(draft, change)
        draft.then(lambda: self._drop_changes(len(changes)))

    def _drop_changes(self, count: int) -> None:
        for _ in range(count):
            self._changes.popleft()

    def _take_change(self, draft: Draft, change: StreamChange) -> None:
        health = draft.health(change.stream_id)
        if health is None:
            draft.then(lambda: self._keep_early(change))
            return
        draft.turn(replace(health, name=change.stream_name or change.stream_id), change.state)
        for rule in self._scene.rules.all():
            if rule.covers(change.stream_id):
                draft.advance(rule, change.stream_id)

    def _keep_early(self, change: StreamChange) -> None:
        """Remember how a stream stands that is not stored yet; what was removed is not awaited."""
        if change.before is None or change.stream_id in self._early:
            self._early[change.stream_id] = change

    def _forget_early(self, stream_id: str) -> None:
        self._early.pop(stream_id, None)

    def _still_asking(self, asked: Rule, stream_id: str) -> Rule | None:
        """The rule as it is now, if this is still what it asks here."""
        current = self._scene.rules.find(asked.id)
        if current is None or stream_id not in self._scene.healths:
            return None
        return current if current.asks_like(asked) else None

    def _may_skip(self, rule: Rule, stream_id: str, sight: Sight, now_s: float) -> bool:
        alert = self._scene.run(rule, stream_id).alert
        is_settled = alert.is_settled(self._scene.standing((rule.id, stream_id)).state)
        return is_settled and self._gate.may_skip(rule, stream_id, sight, now_s)


def _new_health(config: StreamConfig) -> StreamHealth:
    return StreamHealth(config.id, config.name or config.id)
