"""Rules, looks and moments for tests: a fixed day, seconds counted from its noon."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from contracts.events import Look
from contracts.rules import Rule
from live.alerting.event_ids import NewEventId, event_ids
from live.alerting.notice import Notice
from live.alerting.rule_state import RuleOnStream, RuleState, Step

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCORES = {"Y": 0.9, "N": 0.1, "-": 0.5, "?": 0.9}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def seconds(moment: datetime) -> float:
    return (moment - NOON).total_seconds()


def new_ids(seed: int = 0) -> NewEventId:
    return event_ids(random.Random(seed))


PLAIN = Rule(
    id="r-door",
    prompt="Is there a person?",
    name="Person at door",
    created_at=NOON,
    updated_at=NOON,
)


def look(score: float | str, time_s: float, *, lag_s: float = 0.0) -> Look:
    """A look at two frames; letters are scores, a question mark is a look that is not known."""
    known = score != "?"
    p_yes = SCORES[score] if isinstance(score, str) else score
    return Look(p_yes, known, (at(time_s - lag_s - 1), at(time_s - lag_s)), True, model="model")


def on_stream(rule: Rule, new_id: NewEventId | None = None) -> RuleOnStream:
    return RuleOnStream(rule, "door", "Front door", new_id or new_ids())


def told(notice: Notice) -> str:
    """A notice in short: when, what, and what sinks are told if that is something else."""
    if notice.sink_kind is None:
        sinks = " (quiet)"
    else:
        sinks = "" if notice.sink_kind == notice.kind else f" (sinks: {notice.sink_kind})"
    reason = notice.event.end_reason
    why = "" if reason in (None, "cleared") else f" {reason}"
    return f"{seconds(notice.at):g} {notice.kind}{why}{sinks}"


Act = Callable[[RuleOnStream, RuleState], Step]


class Run:
    """Feeds a rule what a script says and keeps everything it told."""

    def __init__(self, rule: Rule) -> None:
        self.machine = on_stream(rule)
        self.state = RuleState()
        self.notices: list[Notice] = []
        self.now_s = 0.0

    def looks(self, script: str, every_s: float = 2.0) -> "Run":
        """One look for each letter; a space changes nothing."""
        for letter in script.replace(" ", ""):
            self.now_s += every_s
            self.take(self.machine.see(self.state, look(letter, self.now_s), at(self.now_s)))
        return self

    def wait(self, seconds: float) -> "Run":
        """Let time pass, a second at a time."""
        for _ in range(round(seconds)):
            self.now_s += 1
            self.take(self.machine.let_out(self.state, at(self.now_s)))
        return self

    def change(self, **fields: object) -> "Run":
        rule = replace(self.machine.rule, **fields)  # type: ignore[arg-type]
        self.machine = replace(self.machine, rule=rule)
        return self

    def take(self, step: Step) -> None:
        self.state = step.state
        self.notices += step.notices

    @property
    def told(self) -> list[str]:
        return [told(notice) for notice in self.notices]
