"""One look now, for whoever wants to know what a rule would say; it counts for nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.events import Verdict


@dataclass(frozen=True, slots=True)
class RuleTest:
    """What one look at one stream said.

    Attributes:
        score: 0 to 1; ``None`` when there was no look, or it is not known.
        known: ``None`` when there was no look.
        verdict: By the rule's thresholds.
        frame_times: When the frames it saw were captured, in order.
        latency_s: From taking the frames to the answer.
        error: Code of what stood in the way of a look.
    """

    stream_id: str
    score: float | None = None
    known: bool | None = None
    verdict: Verdict | None = None
    frame_times: tuple[datetime, ...] = ()
    latency_s: float | None = None
    error: str | None = None


class RuleTests(Protocol):
    """Tries rules out."""

    async def test(self, rule_id: str, stream_id: str | None = None) -> list[RuleTest]:
        """Look once at each stream of a rule, or at one of them; nothing changes.

        Raises:
            RuleNotFound, StreamNotFound: There is none.
            ModelLoading, ModelUnavailable, QueueFull: The model cannot be asked now.
        """
        ...
