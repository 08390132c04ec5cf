"""Ids of events: ``evt_`` and a ULID, so that they sort by the time they were made at."""

import random
from collections.abc import Callable
from datetime import datetime

NewEventId = Callable[[datetime], str]

# Source: the ULID specification (github.com/ulid/spec): 48 bits of milliseconds, 80 random ones,
# Crockford's base 32.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
NUM_CHARS = 26
RANDOM_BITS = 80


def event_ids(source: random.Random) -> NewEventId:
    """A maker of ids that draws from ``source``; thread-safe as far as that is."""

    def new_id(at: datetime) -> str:
        number = int(at.timestamp() * 1000) << RANDOM_BITS | source.getrandbits(RANDOM_BITS)
        digits = [ALPHABET[number >> 5 * place & 31] for place in reversed(range(NUM_CHARS))]
        return "evt_" + "".join(digits)

    return new_id
