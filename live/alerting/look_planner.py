"""Which rules are due on which stream, and which of them can be asked together.

Due times lie on a grid that all rules share, so that rules with the same interval, or a multiple,
are due at the same moment and are asked about the same frames. A look that comes late makes those
it ran over fall out; they do not pile up. Pure but for what it remembers; not thread-safe.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.rules import Rule
from contracts.streams import LookBack

Key = tuple[str, str]  # rule, stream


@dataclass(frozen=True, slots=True)
class LookPlan:
    """Rules that are due on the same frames of one stream.

    ``sequence`` is the newest frame's when it was planned.
    """

    stream_id: str
    look_back: LookBack
    rules: tuple[Rule, ...]
    sequence: int


@dataclass(slots=True)
class _Turn:
    """When a rule on a stream is due, which frame it saw last, whether it is being asked."""

    due_s: float = -math.inf
    seen: int = -1
    is_asked: bool = False


class LookPlanner:
    """Remembers when each rule was last due on each stream."""

    def __init__(self) -> None:
        self._turns: dict[Key, _Turn] = {}

    def plan(
        self, now_s: float, expected: Iterable[tuple[Rule, str]], newest: Mapping[str, int]
    ) -> list[LookPlan]:
        """What is to be asked now; a plan's rules are not due again before it is finished.

        Args:
            now_s: On a clock that is never put back.
            expected: Rules in force and the streams they are put to; others are forgotten.
            newest: Sequence of each stream's newest frame; a stream without one is left out.
        """
        pairs = {(rule.id, stream_id): rule for rule, stream_id in expected}
        self._turns = {key: self._turns.get(key) or _Turn() for key in pairs}
        groups: dict[tuple[str, LookBack], list[Rule]] = {}
        for (rule_id, stream_id), rule in pairs.items():
            turn = self._turns[rule_id, stream_id]
            if self._is_due(turn, now_s, newest.get(stream_id)):
                turn.is_asked = True
                turn.seen = newest[stream_id]
                turn.due_s = (math.floor(now_s / rule.interval_s) + 1) * rule.interval_s
                window = LookBack(rule.window.seconds, rule.window.num_frames)
                groups.setdefault((stream_id, window), []).append(rule)
        return [
            LookPlan(stream_id, look_back, tuple(rules), newest[stream_id])
            for (stream_id, look_back), rules in groups.items()
        ]

    def finish(self, plan: LookPlan) -> None:
        """Take note that a plan's rules were asked, or could not be."""
        for rule in plan.rules:
            turn = self._turns.get((rule.id, plan.stream_id))
            if turn is not None:
                turn.is_asked = False

    def next_due_s(self) -> float | None:
        """When a rule is due next, whether or not it will find a new frame."""
        waiting = [turn.due_s for turn in self._turns.values() if not turn.is_asked]
        return min(waiting, default=None)

    def _is_due(self, turn: _Turn, now_s: float, sequence: int | None) -> bool:
        if turn.is_asked or sequence is None:
            return False
        return turn.due_s <= now_s and turn.seen < sequence
