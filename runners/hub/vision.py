"""What sets one architecture apart from another: how it is shown pictures and clips."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from contracts.media import U8, Clip
from llava_custom.views import Eyes
from runners.hub.pieces import Piece


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A picture to show: a client's, or a frame of a clip that is shown as pictures.

    Attributes:
        rgb: uint8, shape (H, W, 3).
        kind: What its tokens are counted as.
        is_alone: Whether the conversation has no other picture.
        is_whole: Whether to show it once and without tiles.
    """

    rgb: U8
    kind: Literal["image", "video"] = "image"
    is_alone: bool = True
    is_whole: bool = False

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


class Vision(Eyes, Protocol):
    """The eyes of a checkpoint, and how a prompt speaks of what they see."""

    @property
    def image_token(self) -> str:
        """What the chat template writes where a picture stands."""
        ...

    @property
    def video_token(self) -> str | None:
        """Likewise for a clip; ``None`` where clips are shown as pictures."""
        ...

    @property
    def visual_token(self) -> str:
        """A control token that stands for visuals while tokenising."""
        ...

    @property
    def num_frames(self) -> int:
        """Frames of a clip when nobody says."""
        ...

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """What frames may be squashed to before they come; ``None``: they keep their size."""
        ...

    def picture(self, still: Still) -> Iterable[Piece]:
        """What stands in the prompt for a picture; decided from its size, no pixel is touched."""
        ...

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """What stands in the prompt for a clip; likewise."""
        ...
