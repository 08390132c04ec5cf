"""How much an engine may take on at a time. Pure."""

from dataclasses import dataclass

from runners.schedule import Room


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an engine may take on.

    Attributes:
        max_waiting: Jobs that may wait, and as many alerts; one more is a ``QueueFull``.
        max_choices: Answers that are written at a time.
        max_kv_bytes: Memory of keys and values, as far as it can be told beforehand.
    """

    max_waiting: int
    max_choices: int = 64
    max_kv_bytes: int = 1 << 30

    def room(self, *, num_choices: int, kv_bytes: int, kv_bytes_per_token: int) -> Room:
        """What may be begun beside answers that hold so much."""
        free_tokens = (self.max_kv_bytes - kv_bytes) // kv_bytes_per_token
        return Room(self.max_choices - num_choices, free_tokens)
