"""What reading media took and came to, counted since the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from contracts.errors import MediaKind
from contracts.latencies import Histogram
from contracts.media import MediaReader


@dataclass(frozen=True, slots=True)
class MediaStats:
    """One look at a media reader; a kind that is missing was never read.

    Attributes:
        fetch_s: Downloads that came to an end, by kind.
        decode_s: Decoding, likewise.
        results: Media by kind and ``ok`` or the code of the error.
    """

    fetch_s: Mapping[MediaKind, Histogram] = field(default_factory=dict)
    decode_s: Mapping[MediaKind, Histogram] = field(default_factory=dict)
    results: Mapping[tuple[MediaKind, str], int] = field(default_factory=dict)


class CountedMediaReader(MediaReader, Protocol):
    """A reader that counts."""

    def stats(self) -> MediaStats:
        """What was counted so far."""
        ...
