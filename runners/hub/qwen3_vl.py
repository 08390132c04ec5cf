"""Qwen3-VL: every step of a clip is shown with its time, and seen in several layers.

Source: transformers 5.23 models/qwen3_vl.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

from contracts.media import Clip
from runners.hub.checkpoint import Loaded
from runners.hub.frames import HALF
from runners.hub.mrope import GridVisual
from runners.hub.pieces import Markup, Piece
from runners.hub.qwen_patches import check_ratio
from runners.hub.qwen_vl import QwenClips, QwenVision


class Qwen3Clips(QwenClips):
    """Frames whose bounds hold for all of them together."""

    patch_px = 16
    mean = std = HALF
    max_video_tokens = 768

    def size_hw(self, num_frames: int, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """The size that each of some frames comes to, in multiples of a token's side."""
        check_ratio(frame_hw)
        num_frames = max(num_frames, self.sizes.step_frames)  # one frame is shown twice
        fewest, most = self.bounds
        if self.is_capped:
            share = min(self.max_tokens * self.sizes.token_px**2, most // num_frames)
            most = max(share, int(fewest * 1.05)) * num_frames
        sizes = (self.sizes.step_frames, self.sizes.token_px)
        height, width = smart_resize(num_frames, *frame_hw, *sizes, fewest, most)
        return int(height), int(width)


class Qwen3Vision(QwenVision):
    """A tower that gives features of several of its layers; see ``Vision``."""

    clips_class = Qwen3Clips

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        config = loaded.config
        self._begins = Markup(loaded.token(config.vision_start_token_id))
        self._ends = Markup(loaded.token(config.vision_end_token_id))

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """A visual for each step in time, after its time in words."""
        frames = tuple(frame.rgb for frame in clip.frames)
        rows, columns = self.clips.grid_hw(frames)
        length = self.clips.sizes.step_frames
        for index, step in enumerate(self.clips.sizes.steps(frames)):
            times = clip.frame_times_s[index * length : (index + 1) * length]
            yield Markup(f"<{(times[0] + times[-1]) / 2:.1f} seconds>")
            yield self._begins
            yield GridVisual(
                kind="video",
                num_tokens=rows * columns,
                pictures=step,
                grid_thw=(1, rows, columns),
            )
            yield self._ends

    def tokens(self, seen: Any) -> Tensor:  # noqa: ANN401 - transformers is untyped here
        """Of each token what the decoder reads, then what goes into its first layers."""
        return torch.cat([seen.pooler_output, *seen.deepstack_features], dim=1)
