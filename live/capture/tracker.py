"""What is known of one capture: notes come in, states and figures go out.

One capture writes notes, any thread reads. Changes of the state are told in order, one at a time,
by whichever thread notices them; a retired tracker tells nothing any more.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from contracts.streams import StreamState
from live.clock import Clock
from live.streams.state import Facts, Phase, Standing, StateLimits, standing_of

RATE_PACKETS = 150  # over which the rate is measured; more than one group of pictures mostly
RATE_SPAN_S = 10.0

OnStanding = Callable[[StreamState | None, Standing], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and sizes, as of the latest frame.

    Attributes:
        size_wh: Of the source's picture.
        num_reconnects: How often frames came again after the source was lost.
    """

    codec: str | None = None
    declared_fps: float | None = None
    size_wh: tuple[int, int] | None = None
    num_reconnects: int = 0
    num_captured: int = 0
    num_dropped: int = 0


class Tracker:
    """Follows one capture from its start to its end."""

    def __init__(
        self,
        clock: Clock,
        limits: StateLimits,
        on_change: OnStanding,
        *,
        told: StreamState | None = None,
        figures: Figures | None = None,
    ) -> None:
        self.limits = limits  # read by every thread, exchanged as a whole
        self.figures = figures or Figures()
        self._clock = clock
        self._facts = Facts(Phase.OPENING, clock.monotonic())
        self._heard_s: deque[float] = deque(maxlen=RATE_PACKETS)
        self._on_change = on_change
        self._told = told
        self._is_retired = False
        self._telling = threading.Lock()

    @property
    def facts(self) -> Facts:
        """What the capture last said."""
        return self._facts

    @property
    def standing(self) -> Standing:
        """How the stream stands now."""
        return standing_of(self._facts, self._clock.monotonic(), self.limits)

    @property
    def told(self) -> StreamState | None:
        """The state that was told last."""
        return self._told

    @property
    def measured_fps(self) -> float | None:
        """Packets a second that lately came; ``None`` when none does."""
        heard, now_s = list(self._heard_s), self._clock.monotonic()
        recent = [at_s for at_s in heard if now_s - at_s <= RATE_SPAN_S]
        if len(recent) < 2 or now_s - recent[-1] > self.limits.fresh_s:
            return None
        span_s = recent[-1] - recent[0]
        return (len(recent) - 1) / span_s if span_s > 0 else None

    def connected(self, codec: str, declared_fps: float | None) -> None:
        """The source is open; no frame yet."""
        self._heard_s.clear()
        self.figures = replace(self.figures, codec=codec, declared_fps=declared_fps)
        self._set(self._entering(Phase.CONNECTED))

    def heard(self) -> None:
        """A packet came."""
        self._heard_s.append(self._clock.monotonic())

    def captured(self, captured_s: float, size_wh: tuple[int, int]) -> None:
        """A frame lies in the buffer."""
        facts, figures = self._facts, self.figures
        is_back = facts.awaits_frame and facts.last_frame_s is not None
        self.figures = replace(
            figures,
            size_wh=size_wh,
            num_captured=figures.num_captured + 1,
            num_reconnects=figures.num_reconnects + is_back,
        )
        fresh_since_s = facts.fresh_since_s
        if fresh_since_s is None or self.standing.state is not StreamState.RUNNING:
            fresh_since_s = self._clock.monotonic()
        self._set(
            replace(facts, awaits_frame=False, fresh_since_s=fresh_since_s, last_frame_s=captured_s)
        )

    def dropped(self, count: int) -> None:
        """Frames that were due were not kept."""
        self.figures = replace(self.figures, num_dropped=self.figures.num_dropped + count)

    def gone(self, reason: str, *, retry_in_s: float) -> None:
        """The connection broke, or could not be made."""
        retry_at_s = self._clock.monotonic() + retry_in_s
        facts = self._entering(Phase.GONE, reason)
        self._set(replace(facts, awaits_frame=True, retry_at_s=retry_at_s))

    def retrying(self) -> None:
        """The source is tried again now."""
        self._facts = replace(self._facts, retry_at_s=None)

    def ended(self, reason: str) -> None:
        """Nothing more will come."""
        self._set(self._entering(Phase.ENDED, reason))

    def failed(self, reason: str) -> None:
        """Only a person can help."""
        self._set(self._entering(Phase.FAILED, reason))

    def observe(self) -> None:
        """Tell of a change that time alone has brought."""
        with self._telling:
            standing = self.standing
            if self._is_retired or standing.state is self._told:
                return
            before, self._told = self._told, standing.state
            self._on_change(before, standing)

    def retire(self) -> None:
        """Tell nothing from now on."""
        with self._telling:
            self._is_retired = True

    def _entering(self, phase: Phase, reason: str | None = None) -> Facts:
        facts = self._facts
        since_s = facts.since_s if phase is facts.phase else self._clock.monotonic()
        return replace(facts, phase=phase, since_s=since_s, reason=reason, retry_at_s=None)

    def _set(self, facts: Facts) -> None:
        self._facts = facts
        self.observe()
