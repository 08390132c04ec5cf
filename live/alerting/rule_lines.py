"""What rules say of each stream, for its picture. Written by one event loop, read by any thread."""

from collections.abc import Callable
from datetime import datetime

from contracts.rules import Rule, RuleStatus
from live.alerting.scene import Scene


class RuleLines:
    """One line for each rule that looks at a stream, as of the latest refresh."""

    def __init__(self, scene: Scene, clock: Callable[[], datetime]) -> None:
        self._scene = scene
        self._clock = clock
        self._lines: dict[str, tuple[str, ...]] = {}

    def refresh(self) -> None:
        """Take over how rules stand now."""
        now = self._clock()
        lines: dict[str, list[str]] = {stream_id: [] for stream_id in self._scene.healths}
        for rule in self._scene.rules.all():
            for status in self._scene.statuses(rule, now):
                lines[status.stream_id].append(_line(rule, status))
        self._lines = {stream_id: tuple(those) for stream_id, those in lines.items()}

    def of(self, stream_id: str) -> tuple[str, ...]:
        """The lines of one stream."""
        return self._lines.get(stream_id, ())


def _line(rule: Rule, status: RuleStatus) -> str:
    score = "" if status.score is None else f" {status.score:.2f}"
    return f"{status.state.replace('_', ' ')}{score}  {rule.name}"
