"""Which frames of a source are kept: those on a grid of its own times."""

ROUNDING_S = 1e-3
EARLY_KEY = 0.25  # of the interval: a key frame may be taken so much early, as it costs least
MAX_AHEAD = 2.0  # intervals; a frame that far before its place means that the times have jumped


class SampleGrid:
    """Decides frame by frame; the rate may change from one to the next."""

    def __init__(self) -> None:
        self._due_s: float | None = None

    def is_due(self, source_s: float, interval_s: float, *, is_key: bool) -> bool:
        """Whether the frame of this time is to be kept.

        Args:
            source_s: Time of the frame in its source.
            interval_s: Between two frames that are kept.
            is_key: Whether it can be decoded without any other.
        """
        if self._due_s is None:
            return True
        early_s = interval_s * EARLY_KEY if is_key else ROUNDING_S
        ahead_s = self._due_s - source_s
        return ahead_s <= early_s or ahead_s > MAX_AHEAD * interval_s

    def take(self, source_s: float, interval_s: float) -> None:
        """Note that a frame of this time was kept."""
        due_s = source_s if self._due_s is None else self._due_s
        next_s = due_s + interval_s
        if not source_s < next_s <= source_s + MAX_AHEAD * interval_s:
            next_s = source_s + interval_s
        self._due_s = next_s
