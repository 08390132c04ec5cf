"""A tokenised conversation, with pictures and clips standing between the text."""

from dataclasses import dataclass
from typing import Literal

from contracts.generation import PromptTokens
from contracts.media import U8
from llava_custom.tiling import Tiling


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Runs of token ids, and visuals between them, in order."""

    segments: tuple[tuple[int, ...] | Visual, ...]

    @property
    def visuals(self) -> tuple[Visual, ...]:
        """The pictures and clips, in order."""
        return tuple(segment for segment in self.segments if isinstance(segment, Visual))

    @property
    def tokens(self) -> PromptTokens:
        """How many tokens are text, pictures and clips."""
        return PromptTokens(
            text=sum(len(segment) for segment in self.segments if isinstance(segment, tuple)),
            image=sum(visual.num_tokens for visual in self.visuals if visual.kind == "image"),
            video=sum(visual.num_tokens for visual in self.visuals if visual.kind == "video"),
        )
