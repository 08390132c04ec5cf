"""How fast the engine is, from what it did lately. Pure; one thread."""

from collections import deque

NUM_KEPT = 16
NUM_DEPARTURES = 128  # answers that ran together leave together: a mean of few says little
LEAST_DEPARTURES = 32
FIRST_GUESS_S = 1.0  # between two ends, before any was seen


class ReadingPace:
    """Seconds a token of a prompt takes to be encoded and read."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=NUM_KEPT)

    def count(self, num_tokens: int, seconds: float) -> None:
        """Count a prompt, or a stretch of one."""
        self._seconds.append(seconds / max(num_tokens, 1))

    @property
    def best_s(self) -> float:
        """Of a token, at the best of the latest prompts; 0 before the first."""
        return min(self._seconds, default=0.0)

    @property
    def usual_s(self) -> float:
        """Of a token, the median of the latest; 0 before the first."""
        ordered = sorted(self._seconds)
        return ordered[len(ordered) // 2] if ordered else 0.0


class DeparturePace:
    """Seconds between two requests that leave while others wait: all that the engine can do."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=NUM_DEPARTURES)
        self._guess_s = FIRST_GUESS_S
        self._since_s: float | None = None

    def begin(self, now_s: float) -> None:
        """Work is there; from when the engine was idle, the clock runs from here."""
        if self._since_s is None:
            self._since_s = now_s

    def leave(self, now_s: float, *, num_waiting: int) -> None:
        """One left that had been begun."""
        if num_waiting and self._since_s is not None:
            self._seconds.append(now_s - self._since_s)
        self._since_s = now_s

    def rest(self) -> None:
        """The last one left: what was so far is a guess at what will be."""
        self._guess_s = self._mean_s
        self._seconds.clear()
        self._since_s = None

    def until_s(self, num_requests: int) -> float:
        """In how many seconds so many will have left; 0 while too little is known."""
        return num_requests * self._mean_s if len(self._seconds) >= LEAST_DEPARTURES else 0.0

    def wait_s(self, num_waiting: int) -> int:
        """In how many seconds so many will have been begun: 1 to 60."""
        return min(60, max(1, round(num_waiting * self._mean_s)))

    @property
    def _mean_s(self) -> float:
        return sum(self._seconds) / len(self._seconds) if self._seconds else self._guess_s
