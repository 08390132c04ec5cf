"""How fast the engine is, from what it did lately. Pure; one thread."""

from collections import deque

NUM_KEPT = 16
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
    """Seconds between two requests that leave, while there are any."""

    def __init__(self) -> None:
        self._mean_s = FIRST_GUESS_S
        self._since_s: float | None = None

    def begin(self, now_s: float) -> None:
        """Work is there; from when the engine was idle, the clock runs from here."""
        if self._since_s is None:
            self._since_s = now_s

    def leave(self, now_s: float, *, is_last: bool) -> None:
        """One left; after the last the engine is idle."""
        since_s = now_s if self._since_s is None else self._since_s
        self._mean_s += 0.2 * (now_s - since_s - self._mean_s)
        self._since_s = None if is_last else now_s

    def wait_s(self, num_waiting: int) -> int:
        """In how many seconds so many will have been begun: 1 to 60."""
        return min(60, max(1, round(num_waiting * self._mean_s)))
