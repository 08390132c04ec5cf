"""Rules as people add, change and delete them, natively or by the façade's lists.

Belongs to one event loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from contracts.rules import Rule, RuleStatus
from live.alerting.decider import Decider
from live.alerting.draft import Draft
from live.sinks.courier import SinkChecker


class RuleDesk:
    """What may be done with rules; each change ends the events that it makes senseless."""

    def __init__(self, decider: Decider, sinks: SinkChecker) -> None:
        self._decider = decider
        self._sinks = sinks
        self._scene = decider.scene

    def all(self) -> tuple[Rule, ...]:
        """Every rule, in the order they were added."""
        return self._scene.rules.all()

    def get(self, rule_id: str) -> Rule:
        """One rule.

        Raises:
            RuleNotFound: There is none of this id.
        """
        return self._scene.rules.get(rule_id)

    def statuses(self, rule: Rule) -> tuple[RuleStatus, ...]:
        """How a rule stands on each of its streams."""
        return self._scene.statuses(rule, self._decider.now())

    def count_for(self, stream_id: str) -> int:
        """How many rules look at a stream."""
        return sum(rule.covers(stream_id) for rule in self.all())

    async def add(self, rule: Rule) -> Rule:
        """Add a rule; its moments are set here.

        Raises:
            RequestError: It makes no sense, its id is taken, or there are too many.
            SinkNotAllowed, StreamNotFound: It names what there is not, or what may not be used.
            StorageUnavailable: It was not added.
        """
        await self._sinks.check(rule.notify or ())
        now = self._decider.now()
        added = replace(rule, created_at=now, updated_at=now)

        def decide(draft: Draft) -> None:
            self._scene.rules.check_new(added)
            self._scene.require_stream(added.stream_id)
            draft.put_rule(added)

        await self._decider.decide(decide)
        return added

    async def change(self, rule_id: str, change: Callable[[Rule], Rule]) -> Rule:
        """Replace a rule by what ``change`` makes of it as it is then.

        What is open stays so unless the rule asks something else now, or asks it elsewhere.

        Raises:
            RuleNotFound, RequestError, SinkNotAllowed, StreamNotFound, StorageUnavailable: As for
                ``add``; nothing has changed.
        """
        before = self.get(rule_id)
        notify = change(before).notify
        if notify != before.notify:  # a name may have gone since it was allowed
            await self._sinks.check(notify or ())

        changed = before

        def decide(draft: Draft) -> None:
            nonlocal changed
            old = self.get(rule_id)
            changed = replace(change(old), updated_at=draft.now)
            self._scene.rules.check(changed)
            if changed.stream_id != old.stream_id:
                self._scene.require_stream(changed.stream_id)
            for stream_id in self._scene.streams_of(old):
                self._change_on(draft, old, changed, stream_id)
            draft.put_rule(changed)

        await self._decider.decide(decide)
        return changed

    async def delete(self, rule_id: str) -> None:
        """Delete a rule; its events end and stay.

        Raises:
            RuleNotFound, StorageUnavailable: Nothing was deleted.
        """
        await self._decider.decide(
            lambda draft: self._delete(draft, (self._scene.rules.get(rule_id),))
        )

    async def replace_jps(self, prompts: Sequence[str], stream_id: str | None) -> None:
        """Replace the façade's rules by a list (API.md 5.2).

        Raises:
            RequestError: A prompt is blank or too long; ``param`` is ``alerts[i]``.
            RuleLimitReached, StreamNotFound, StorageUnavailable: Nothing has changed either.
        """

        def decide(draft: Draft) -> None:
            self._scene.require_stream(stream_id)
            replacement = self._scene.rules.replacement(prompts, stream_id, draft.now)
            self._delete(draft, replacement.removed)
            for rule in replacement.added:
                draft.put_rule(rule)

        await self._decider.decide(decide)

    def _delete(self, draft: Draft, rules: Sequence[Rule]) -> None:
        for rule in rules:
            for stream_id in self._scene.streams_of(rule):
                draft.drop(rule, stream_id, "rule_deleted")
            draft.remove_rule(rule)

    def _change_on(self, draft: Draft, old: Rule, changed: Rule, stream_id: str) -> None:
        if not changed.covers(stream_id):
            draft.drop(old, stream_id, "rule_changed")
        elif changed.asks_like(old):
            draft.advance(changed, stream_id)
        else:
            draft.reset(old, stream_id)
