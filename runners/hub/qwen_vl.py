"""Qwen2-VL and Qwen2.5-VL: pictures and clips in their own size.

Source: transformers 5.23 models/qwen2_vl and models/qwen2_5_vl.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from contracts.media import U8, Clip
from llava_custom import Visual
from llava_custom.placement import input_device
from llava_custom.views import View
from runners.hub.checkpoint import Loaded, load_image_processor, read_video_settings
from runners.hub.frames import CLIP_MEAN, CLIP_STD, FrameScale
from runners.hub.mrope import GridVisual
from runners.hub.pieces import Piece
from runners.hub.qwen_patches import PatchSizes, picture_size, pixel_bounds
from runners.hub.vision import Still

FEWEST_TOKENS, MOST_TOKENS = 128, 768  # on a frame, where the processor says nothing


class QwenPictures:
    """Pictures in their own size, within the processor's bounds."""

    def __init__(self, loaded: Loaded) -> None:
        self._processor = load_image_processor(loaded.directory)
        size = self._processor.size
        self._bounds = (size["shortest_edge"], size["longest_edge"])
        self._sizes = PatchSizes.of(vars(self._processor), patch_px=self._processor.patch_size)

    def plan(self, still: Still) -> GridVisual:
        """The picture on its grid."""
        size_hw = picture_size(still.size_hw, self._bounds, self._sizes.token_px)
        rows, columns = self._sizes.grid_hw(size_hw)
        return GridVisual(
            kind=still.kind,
            num_tokens=rows * columns,
            pictures=(still.rgb,),
            grid_thw=(1, rows, columns),
        )

    def patches(self, rgb: U8) -> Tensor:
        """The picture as rows of patches, float32, on the CPU."""
        found: Tensor = self._processor(Image.fromarray(rgb), return_tensors="pt").pixel_values
        return found


class QwenClips:
    """Frames in their own size, within the processor's bounds.

    Args:
        settings: Of the video processor; where they say nothing, the class's own values hold.
    """

    patch_px = 14
    mean: Sequence[float] = CLIP_MEAN
    std: Sequence[float] = CLIP_STD
    max_video_tokens = 128_000

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.sizes = PatchSizes.of(settings, patch_px=self.patch_px)
        self._scale = FrameScale.of(settings, mean=self.mean, std=self.std)
        area = self.sizes.token_px**2
        self.bounds = pixel_bounds(settings, FEWEST_TOKENS * area, MOST_TOKENS * area)
        self.max_tokens: int = settings.get("max_video_tokens") or self.max_video_tokens
        self.is_capped = bool(settings.get("cap_pixels_per_frame"))

    def size_hw(self, num_frames: int, frame_hw: tuple[int, int]) -> tuple[int, int]:
        """The size that each of some frames comes to, in multiples of a token's side."""
        fewest, most = self.bounds
        if self.is_capped:
            budget = int(self.max_tokens * self.sizes.token_px**2 * 0.9)
            share = budget * self.sizes.step_frames // num_frames
            most = max(min(most, share), int(fewest * 1.05))
        return picture_size(frame_hw, (fewest, most), self.sizes.token_px)

    def grid_hw(self, frames: Sequence[U8]) -> tuple[int, int]:
        """Rows and columns of tokens on each frame."""
        height, width, _ = frames[0].shape
        return self.sizes.grid_hw(self.size_hw(len(frames), (height, width)))

    def patches(self, steps: Sequence[Sequence[U8]], grid_hw: tuple[int, int]) -> Tensor:
        """Some steps in time as rows of patches, float32, on the CPU."""
        frames = [frame for step in steps for frame in step]
        height, width = (side * self.sizes.token_px for side in grid_hw)
        return self.sizes.patches(self._scale.pixel_values(frames, (height, width)))


@dataclass(frozen=True, slots=True)
class GridKind:
    """Views that go through the tower together.

    Attributes:
        grid_hw: Rows and columns of tokens on each.
        picture: Of a picture what tells it from others; ``None`` for steps of clips.
    """

    grid_hw: tuple[int, int]
    picture: tuple[bytes, ...] | None = None


class QwenVision:
    """A tower that takes any grid of patches; see ``Vision``."""

    num_frames = 16
    size_wh = None
    clips_class = QwenClips

    def __init__(self, loaded: Loaded) -> None:
        config = loaded.config
        self.image_token = self.visual_token = loaded.token(config.image_token_id)
        self.video_token = loaded.token(config.video_token_id)
        self._loaded = loaded
        self._pictures = QwenPictures(loaded)
        self.clips = self.clips_class(read_video_settings(loaded.directory))
        # Qwen2.5-VL alone tells how fast time goes.
        self._tokens_per_second = getattr(config.vision_config, "tokens_per_second", None)

    def picture(self, still: Still) -> Iterable[Piece]:
        """One visual on its grid."""
        return [self._pictures.plan(still)]

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """One visual on a grid of steps in time, rows and columns."""
        frames = tuple(frame.rgb for frame in clip.frames)
        rows, columns = self.clips.grid_hw(frames)
        num_steps = len(self.clips.sizes.steps(frames))
        visual = GridVisual(
            kind="video",
            num_tokens=num_steps * rows * columns,
            pictures=frames,
            grid_thw=(num_steps, rows, columns),
            positions_per_step=self._positions_per_step(clip),
        )
        return [visual]

    def views(self, visual: Visual) -> Sequence[View]:
        """The picture, or steps in time."""
        assert isinstance(visual, GridVisual)
        grid_hw, digests = visual.grid_thw[1:], visual.digests
        if visual.kind == "image":
            # By itself: a large picture is as many patches as a clip.
            kind = GridKind(grid_hw, picture=digests)
            return [View(kind, kind, lambda: self._pictures.patches(visual.pictures[0]))]
        sizes, kind = self.clips.sizes, GridKind(grid_hw)
        return [
            View(
                (step_digests, grid_hw),
                kind,
                partial(self.clips.patches, [step], grid_hw),
                num_pictures=sizes.step_frames,
            )
            for step, step_digests in zip(
                sizes.steps(visual.pictures), sizes.steps(digests), strict=True
            )
        ]

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The tokens of a picture, or of each of some steps, (T, D)."""
        kind = views[0].kind
        assert isinstance(kind, GridKind)
        rows, columns = kind.grid_hw
        tower, merge = self._loaded.network.model.visual, self.clips.sizes.merge
        device = input_device(tower)
        grid = torch.tensor([[len(views), rows * merge, columns * merge]], device=device)
        patches = torch.cat([view.pixels() for view in views])
        tokens = self.tokens(tower(patches.to(device, tower.dtype), grid_thw=grid))
        features: Tensor = tokens.unflatten(0, (len(views), -1))
        return features.unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The tokens of a picture or a clip, (T, D)."""
        return torch.cat(list(features))

    def tokens(self, seen: Any) -> Tensor:  # noqa: ANN401 - transformers is untyped here
        """What the tower gives as tokens, (T, D)."""
        tokens: Tensor = seen.pooler_output
        return tokens

    def _positions_per_step(self, clip: Clip) -> float:
        if self._tokens_per_second is None:
            return 1.0
        seconds = self.clips.sizes.step_frames * seconds_per_frame(clip)
        return float(self._tokens_per_second * torch.tensor(seconds))


def seconds_per_frame(clip: Clip) -> float:
    """How far apart the frames of a clip are; 1 where there is but one."""
    times = clip.frame_times_s
    span = times[-1] - times[0]
    return span / (len(times) - 1) if span > 0 else 1.0
