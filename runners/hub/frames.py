"""Frames of clips to pixel values, as transformers' video processors make them with torchvision.

torchvision's resize of uint8 frames on a CPU is torch's antialiased ``interpolate``, bit by bit.
Letters: ``F`` frames, ``H W`` pixels.

Source: ``TorchvisionBackend`` in transformers 5.23 image_processing_backends.py;
``resize_image`` in torchvision 0.28 transforms/v2/functional/_geometry.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor
from torch.nn import functional

from contracts.errors import WeightsError
from contracts.media import U8
from llava_custom import Visual
from llava_custom.views import View

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)  # transformers' IMAGENET_STANDARD_MEAN, and STD
MODES = {
    Resampling.LANCZOS: "lanczos",
    Resampling.BILINEAR: "bilinear",
    Resampling.BICUBIC: "bicubic",
}
STEPS = ("do_resize", "do_rescale", "do_normalize")


@dataclass(frozen=True, slots=True)
class FrameScale:
    """How frames are resampled and normalised.

    Attributes:
        mean: Of each channel, after ``rescale_factor``.
        std: Likewise.
        rescale_factor: What pixels are multiplied by first.
        mode: torch's name of the filter.
    """

    mean: Sequence[float]
    std: Sequence[float]
    rescale_factor: float
    mode: str

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        *,
        mean: Sequence[float],
        std: Sequence[float],
        resample: Resampling = Resampling.BICUBIC,
    ) -> "FrameScale":
        """What a checkpoint says; where it says nothing, its video processor's own values.

        Raises:
            WeightsError: It wants a step left out, or a filter that there is not.
        """
        left_out = [step for step in STEPS if settings.get(step) is False]
        if left_out:
            raise WeightsError(f"{left_out[0]} of the video processor is false; supported: true")
        filter_number = settings.get("resample", resample)
        if filter_number not in MODES:
            raise WeightsError(
                f"resample of the video processor is {filter_number}; known: 1, 2, 3"
            )
        return cls(
            settings.get("image_mean") or mean,
            settings.get("image_std") or std,
            settings.get("rescale_factor") or 1 / 255,
            MODES[filter_number],
        )

    def pixel_values(self, frames: Sequence[U8], size_hw: tuple[int, int]) -> Tensor:
        """Frames resampled to one size and normalised.

        Args:
            frames: uint8, shape (H, W, 3) each, all of one size.
            size_hw: The size to come to.

        Returns:
            float32, shape (F, 3, *size_hw), on the CPU.
        """
        return self.normalised(self.resized(stacked(frames), size_hw))

    def resized(self, frames: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """uint8 frames (F, 3, H, W) resampled, uint8."""
        if tuple(frames.shape[-2:]) == size_hw:
            return frames
        return functional.interpolate(frames, size_hw, mode=self.mode, antialias=True)

    def normalised(self, frames: Tensor) -> Tensor:
        """uint8 frames (F, 3, H, W) as float32."""
        # Both divided by the factor first, as the original does: another order rounds otherwise.
        mean = torch.tensor(self.mean) * (1.0 / self.rescale_factor)
        std = torch.tensor(self.std) * (1.0 / self.rescale_factor)
        return (frames.float() - mean[:, None, None]) / std[:, None, None]


def frame_views(visual: Visual) -> list[View]:
    """Every frame of a clip by itself; frames of one size are seen together."""
    return [
        View((digest, visual.kind), (visual.kind, rgb.shape), partial(np.asarray, rgb))
        for rgb, digest in zip(visual.pictures, visual.digests, strict=True)
    ]


def stacked(frames: Sequence[U8]) -> Tensor:
    """Frames (H, W, 3) as one tensor, uint8, shape (F, 3, H, W)."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()
