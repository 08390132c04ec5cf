"""A tokenised conversation, with pictures and clips standing between the text."""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal

import numpy as np

from contracts.generation import PromptTokens
from contracts.media import U8
from llava_custom.tiling import Tiling


@dataclass(frozen=True, eq=False)
class Visual:
    """A picture or a clip with its place in the prompt.

    Attributes:
        kind: Whether it is a still picture or a clip.
        num_tokens: Rows of its block, exactly.
        pictures: uint8 RGB, shape (H, W, 3): the frames of a clip in time order, or one picture.
        tiling: How a picture is cut; ``None`` shows it whole and once.
        is_padded: Whether a picture is padded to a square instead of squashed.
    """

    kind: Literal["image", "video"]
    num_tokens: int
    pictures: tuple[U8, ...]
    tiling: Tiling | None = None
    is_padded: bool = False

    @property
    def identity(self) -> Hashable:
        """Equal for visuals that are the same tokens at the same places; reads all pixels."""
        return (self.kind, self.num_tokens, self.digests, self.tiling, self.is_padded)

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """What tells each picture from others, in order; reads all pixels, at 1 GB/s and more."""
        return tuple(_digest(rgb) for rgb in self.pictures)


def _digest(rgb: U8) -> bytes:
    # SHA-2 in hardware is the fastest that nobody can forge: others' pictures must not match.
    pixels = hashlib.sha256(np.ascontiguousarray(rgb).data)
    pixels.update(repr(rgb.shape).encode())
    return pixels.digest()


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Runs of token ids, and visuals between them, in order."""

    segments: tuple[tuple[int, ...] | Visual, ...]

    @property
    def visuals(self) -> tuple[Visual, ...]:
        """The pictures and clips, in order."""
        return tuple(segment for segment in self.segments if isinstance(segment, Visual))

    def tell_media_apart(self) -> None:
        """Compute every visual's digests, which are kept; safe from any thread."""
        for visual in self.visuals:
            _ = visual.digests

    def num_visuals_within(self, num_tokens: int) -> int:
        """How many visuals are among so many first tokens with all of theirs."""
        ends = accumulate(
            segment.num_tokens if isinstance(segment, Visual) else len(segment)
            for segment in self.segments
        )
        pairs = zip(self.segments, ends, strict=True)
        return sum(isinstance(one, Visual) and end <= num_tokens for one, end in pairs)

    def text_behind(self, num_tokens: int) -> tuple[int, ...] | None:
        """The ids behind so many tokens; ``None`` where a visual is behind."""
        last = self.segments[-1]
        if isinstance(last, Visual):
            return None
        start = num_tokens - (self.tokens.total - len(last))
        return last[start:] if start >= 0 else None

    @property
    def num_tokens_ahead(self) -> int:
        """Tokens of text before the first visual; all where there is none."""
        first = self.segments[0]
        return 0 if isinstance(first, Visual) else len(first)

    @property
    def tokens(self) -> PromptTokens:
        """How many tokens are text, pictures and clips."""
        return PromptTokens(
            text=sum(len(segment) for segment in self.segments if isinstance(segment, tuple)),
            image=sum(visual.num_tokens for visual in self.visuals if visual.kind == "image"),
            video=sum(visual.num_tokens for visual in self.visuals if visual.kind == "video"),
        )
