"""The rules there are: which may be added, which cover a stream, which a façade's list replaces.

In memory; ``live.alerting.watch`` stores what this decides. Not thread-safe.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.errors import RequestError, RuleExists, RuleLimitReached, RuleNotFound
from contracts.rule_checks import MAX_NAME_CHARS, WindowLimits, check_rule
from contracts.rules import Confirm, Rule

JPS_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """What rules may be: how many, how wide their windows, and the façade's cooldown."""

    max_rules: int
    window: WindowLimits
    jps_cooldown_s: float


@dataclass(frozen=True, slots=True)
class Replacement:
    """What becomes of the façade's rules: these go, these come; others stay as they are."""

    removed: tuple[Rule, ...]
    added: tuple[Rule, ...]


class RuleBook:
    """All rules, in the order they were added."""

    def __init__(self, limits: RuleLimits) -> None:
        self._limits = limits
        self._rules: dict[str, Rule] = {}

    def load(self, rules: Iterable[Rule]) -> None:
        """Take over rules that were stored, whatever the limits are now."""
        self._rules = {rule.id: rule for rule in rules}

    def all(self) -> tuple[Rule, ...]:
        """Every rule."""
        return tuple(self._rules.values())

    def find(self, rule_id: str) -> Rule | None:
        """One rule, if there is one of this id."""
        return self._rules.get(rule_id)

    def get(self, rule_id: str) -> Rule:
        """One rule.

        Raises:
            RuleNotFound: There is none of this id.
        """
        rule = self.find(rule_id)
        if rule is None:
            raise RuleNotFound("there is no such rule: expected an id from GET /v1/rules")
        return rule

    def check_new(self, rule: Rule) -> None:
        """Refuse a rule that may not be added.

        Raises:
            RequestError: It makes no sense, or its id is taken, or there are too many.
        """
        self.check(rule)
        if rule.id in self._rules:
            raise RuleExists(f"a rule has the id {rule.id}: choose another, or PATCH it")
        self._check_room(1)

    def check(self, rule: Rule) -> None:
        """Refuse what a rule may not be.

        Raises:
            RequestError: It makes no sense.
        """
        check_rule(rule, self._limits.window)

    def put(self, *rules: Rule) -> None:
        """Add rules, or replace those with their ids."""
        self._rules |= {rule.id: rule for rule in rules}

    def remove(self, *rules: Rule) -> None:
        """Forget rules."""
        for rule in rules:
            self._rules.pop(rule.id, None)

    def replacement(
        self, prompts: Sequence[str], stream_id: str | None, now: datetime
    ) -> Replacement:
        """What a list of the façade's means for the rules there are (API.md 5.2).

        Args:
            prompts: The list; the same text at the same place keeps its rule.
            stream_id: Whose rules it replaces; ``None`` is everybody's.
            now: When new rules are made.

        Raises:
            RequestError: A prompt is blank, or there are too many rules; nothing is to change.
        """
        wanted = [self._jps_rule(i, prompt, stream_id, now) for i, prompt in enumerate(prompts)]
        places = {(rule.alert_number, rule.prompt, rule.stream_id) for rule in wanted}
        removed = [
            rule
            for rule in self._rules.values()
            if rule.source == "jps"
            and stream_id in (None, rule.stream_id)
            and _place(rule) not in places
        ]
        present = {_place(rule) for rule in self._rules.values() if rule.source == "jps"}
        added = [rule for rule in wanted if _place(rule) not in present]
        self._check_room(len(added) - len(removed))
        return Replacement(tuple(removed), tuple(added))

    def _jps_rule(self, number: int, prompt: str, stream_id: str | None, now: datetime) -> Rule:
        rule = Rule(
            id=str(uuid.uuid4()),
            prompt=prompt,
            name=prompt[:MAX_NAME_CHARS],
            created_at=now,
            updated_at=now,
            stream_id=stream_id,
            on_threshold=JPS_THRESHOLD,
            off_threshold=JPS_THRESHOLD,
            confirm=Confirm(1, 1),
            cooldown_s=self._limits.jps_cooldown_s,
            source="jps",
            alert_number=f"r{number}",
        )
        try:
            self.check(rule)
        except RequestError as exc:
            param = f"alerts[{number}]"
            raise RequestError(f"{param}: {exc.message}", param=param) from None
        return rule

    def _check_room(self, num_more: int) -> None:
        num_rules = len(self._rules) + num_more
        if num_rules > self._limits.max_rules:
            message = (
                f"{num_rules} rules; expected at most {self._limits.max_rules} (VLM_MAX_RULES)"
            )
            raise RuleLimitReached(f"{message}: delete one first")


def _place(rule: Rule) -> tuple[str | None, str, str | None]:
    return (rule.alert_number, rule.prompt, rule.stream_id)
