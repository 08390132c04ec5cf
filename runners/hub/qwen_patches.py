"""Pictures and frames of any size as the patches that Qwen-VL's tower takes.

Letters: ``F`` frames, ``H W`` pixels, ``P`` patches.

Source: transformers 5.23 models/qwen2_vl, image_processing_pil_qwen2_vl.py and
video_processing_qwen2_vl.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from contracts.errors import RequestError

Frame = TypeVar("Frame")

MAX_RATIO = 200  # of the sides of a picture; smart_resize refuses more


@dataclass(frozen=True, slots=True)
class PatchSizes:
    """How pixels become patches, and patches tokens.

    Attributes:
        patch_px: Side of a patch in pixels.
        step_frames: Frames that one patch spans in time.
        merge: Patches along the side of what becomes one token.
    """

    patch_px: int
    step_frames: int
    merge: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], *, patch_px: int) -> "PatchSizes":
        """What a processor's settings say; where they say nothing, its own values."""
        return cls(
            settings.get("patch_size") or patch_px,
            settings.get("temporal_patch_size") or 2,
            settings.get("merge_size") or 2,
        )

    @property
    def token_px(self) -> int:
        """Side of what becomes one token, in pixels."""
        return self.patch_px * self.merge

    def grid_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tokens on a picture whose sides are multiples of ``token_px``."""
        return size_hw[0] // self.token_px, size_hw[1] // self.token_px

    def steps(self, frames: Sequence[Frame]) -> list[tuple[Frame, ...]]:
        """Frames, or what stands for them, by step in time; the last one fills up the last step."""
        length = self.step_frames
        filled = (*frames, *[frames[-1]] * (-len(frames) % length))
        return [filled[at : at + length] for at in range(0, len(filled), length)]

    def patches(self, pixel_values: Tensor) -> Tensor:
        """Frames (F, 3, H, W), F whole steps, as rows of patches (P, 3 * step * patch**2)."""
        frames, channels, height, width = pixel_values.shape
        rows, columns = self.grid_hw((height, width))
        grid = pixel_values.reshape(
            frames // self.step_frames,
            self.step_frames,
            channels,
            *(rows, self.merge, self.patch_px),
            *(columns, self.merge, self.patch_px),
        )
        # By step, then token by token, then the patches of a token.
        ordered = grid.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return ordered.reshape(-1, channels * self.step_frames * self.patch_px**2)


def pixel_bounds(settings: Mapping[str, Any], fewest: int, most: int) -> tuple[int, int]:
    """Fewest and most pixels by a processor's settings, old names and new, else the given ones."""
    size = settings.get("size") or {}
    low = settings.get("min_pixels") or size.get("shortest_edge") or fewest
    high = settings.get("max_pixels") or size.get("longest_edge") or most
    return low, high


def picture_size(
    size_hw: tuple[int, int], bounds: tuple[int, int], token_px: int
) -> tuple[int, int]:
    """The size that a picture comes to, in multiples of ``token_px``, aspect nearly kept.

    Raises:
        RequestError: The picture is too long for its width.
    """
    check_ratio(size_hw)
    height, width = smart_resize(*size_hw, token_px, *bounds)
    return int(height), int(width)


def check_ratio(size_hw: tuple[int, int]) -> None:
    """Refuse pictures that the model cannot look at.

    Raises:
        RequestError: Says the size.
    """
    height, width = size_hw
    if max(size_hw) > MAX_RATIO * min(size_hw):
        raise RequestError(
            f"a picture of {width} x {height} is too long: this model takes at most "
            f"{MAX_RATIO} times the shorter side; crop it"
        )
