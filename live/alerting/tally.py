"""What was counted of a rule on a stream since the service started. Not thread-safe."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from contracts.events import Look, Verdict

NUM_GAPS = 10


@dataclass(slots=True)
class Tally:
    """Counts and the latest look.

    Attributes:
        verdicts: Looks by what they said.
        num_skipped: Looks not made because the picture had not changed.
        last: The latest look.
        score: Of the latest known one.
    """

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    num_skipped: int = 0
    last: Look | None = None
    score: float | None = None
    _ends: deque[datetime] = field(default_factory=lambda: deque(maxlen=NUM_GAPS + 1))

    def count(self, look: Look, verdict: Verdict, now: datetime) -> None:
        """Count a look that was just weighed."""
        self.verdicts[verdict] += 1
        self.last = look
        self._ends.append(now)
        if look.known:
            self.score = look.p_yes

    @property
    def num_looks(self) -> int:
        """Looks that were made."""
        return self.verdicts.total()

    @property
    def achieved_interval_s(self) -> float | None:
        """Mean seconds between the latest looks; ``None`` before there are two."""
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(self._ends)]
        return sum(gaps) / len(gaps) if gaps else None
