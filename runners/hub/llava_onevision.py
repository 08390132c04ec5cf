"""LLaVA-OneVision in transformers' layout: tiles for one picture, pooled frames for a clip.

Source: transformers 5.23 models/llava_onevision.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from contracts.errors import WeightsError
from contracts.media import U8, Clip
from llava_custom import Visual
from llava_custom.llava_video_blocks import image_block
from llava_custom.tiling import Tiling, best_canvas
from llava_custom.views import View
from runners.hub.checkpoint import Loaded, load_image_processor, read_video_settings
from runners.hub.frames import CLIP_MEAN, CLIP_STD, FrameScale, frame_views
from runners.hub.llava import crops, num_patches, project
from runners.hub.pieces import Piece
from runners.hub.vision import Still


class RoundedTiling(Tiling):
    """A tiling whose margins are rounded as transformers rounds them."""

    __slots__ = ()

    @property
    def margin_hw(self) -> tuple[int, int]:
        """Patches of padding, see ``Tiling``."""
        (width, height), (rows, columns) = self.picture_wh, self.patches_hw
        if width / height > columns / rows:
            return (rows - int(round(height * (columns / width), 7))) // 2, 0
        return 0, (columns - int(round(width * (rows / height), 7))) // 2


class AnyresPictures:
    """One picture in tiles, or whole and once.

    Args:
        loaded: With pinpoints in its configuration.
        max_tiles: Tiles' worth of tokens above which the grid is shrunk; ``None``: never.
    """

    kind = "crop"  # of its views

    def __init__(self, loaded: Loaded, *, max_tiles: int | None) -> None:
        config = loaded.config
        self._loaded = loaded
        self._processor = load_image_processor(loaded.directory)
        self._tile_px: int = config.vision_config.image_size
        self._max_tiles = max_tiles
        self._patches_per_side = self._tile_px // config.vision_config.patch_size
        if num_patches(config) != self._patches_per_side**2:
            raise WeightsError("vision_feature_select_strategy leaves no square grid of patches")
        pinpoints = [tuple(pair) for pair in config.image_grid_pinpoints]
        if [tuple(pair) for pair in self._processor.image_grid_pinpoints] != pinpoints:
            raise WeightsError(
                "image_grid_pinpoints of config.json and preprocessor_config.json differ"
            )
        self._canvases_wh = [(width, height) for height, width in pinpoints]

    def plan(self, still: Still, *, is_padded: bool) -> Visual:
        """The picture with its tiling; without one it may be padded to a square."""
        whole = Visual(still.kind, self._patches_per_side**2 + 1, (still.rgb,))  # and one newline
        if still.is_whole or is_padded:
            return replace(whole, is_padded=is_padded)
        height, width = still.size_hw
        tiling = RoundedTiling(
            picture_wh=(width, height),
            canvas_wh=best_canvas((width, height), self._canvases_wh),
            tile_px=self._tile_px,
            patches_per_side=self._patches_per_side,
            max_tiles=self._max_tiles,
        )
        return replace(whole, num_tokens=tiling.num_tokens, tiling=tiling)

    def views(self, visual: Visual) -> list[View]:
        """The whole picture, then its tiles, if any."""
        num_tiles = 0 if visual.tiling is None else math.prod(visual.tiling.grid_wh)
        prepared = cache(lambda: self._pixel_values(visual))
        recipe = (visual.digests, self.kind, visual.tiling, visual.is_padded)
        return [
            View((recipe, index), self.kind, partial(_crop, prepared, index))
            for index in range(1 + num_tiles)
        ]

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The patches (P, D) of crops."""
        crops = torch.stack([view.pixels() for view in views])
        return project(self._loaded.network, crops).unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The picture's tokens, newlines included, (T, D)."""
        stacked = torch.stack(list(features))
        newline = self._loaded.network.model.image_newline.to(stacked.device)
        return image_block(stacked, newline, visual.tiling)

    def _pixel_values(self, visual: Visual) -> Tensor:
        """What the tower sees, (I, 3, H, W)."""
        return self._whole(visual) if visual.tiling is None else self._tiles(visual)

    def _tiles(self, visual: Visual) -> Tensor:
        return crops(self._processor, visual)

    def _whole(self, visual: Visual) -> Tensor:
        processor, rgb = self._processor, visual.pictures[0]
        if visual.is_padded:
            rgb = padded_to_square(rgb, processor.image_mean)
        squashed = Image.fromarray(rgb).resize((self._tile_px, self._tile_px), processor.resample)
        scaled = np.asarray(squashed).astype(np.float64) * processor.rescale_factor
        normalised = (scaled - processor.image_mean) / processor.image_std
        return torch.from_numpy(normalised).float().permute(2, 0, 1)[None]


def _crop(prepared: Callable[[], Tensor], index: int) -> Tensor:
    return prepared()[index]


class OnevisionVision:
    """Tiles, pooled frames and newlines; see ``Vision``."""

    num_frames = 16

    def __init__(self, loaded: Loaded) -> None:
        config = loaded.config
        self.image_token = self.visual_token = loaded.token(config.image_token_id)
        self.video_token = loaded.token(config.video_token_id)
        side: int = config.vision_config.image_size
        self.size_wh = (side, side)
        self._loaded = loaded
        self._pictures = AnyresPictures(loaded, max_tiles=_max_tiles(config))
        self._frames = FrameScale.of(
            read_video_settings(loaded.directory), mean=CLIP_MEAN, std=CLIP_STD
        )
        self._patches_per_frame = math.ceil(side // config.vision_config.patch_size / 2) ** 2

    def picture(self, still: Still) -> Iterable[Piece]:
        """Tiles where it is alone; padded to a square in company."""
        return [self._pictures.plan(still, is_padded=not still.is_alone)]

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """Frames of one length each, and one newline after them all."""
        frames = tuple(frame.rgb for frame in clip.frames)
        return [Visual("video", len(frames) * self._patches_per_frame + 1, frames)]

    def views(self, visual: Visual) -> Sequence[View]:
        """A picture's crops, or frames."""
        return self._pictures.views(visual) if visual.kind == "image" else frame_views(visual)

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """Of a crop its patches, of a frame its pooled tokens, (T, D)."""
        if views[0].kind == self._pictures.kind:
            return self._pictures.see(views)
        return self._pooled([view.pixels() for view in views]).unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The tokens of a picture or a clip, (T, D)."""
        if visual.kind == "image":
            return self._pictures.lay_out(visual, features)
        newline = self._loaded.network.model.image_newline.to(features[0].device)
        return torch.cat([*features, newline[None]])

    def _pooled(self, frames: Sequence[U8]) -> Tensor:
        """Frames (H, W, 3) as tokens without the newline, (F, T, D)."""
        network = self._loaded.network
        features = project(network, self._frames.pixel_values(frames, self.size_wh))
        pooled: Tensor = network.model.apply_pooling(features)
        return pooled


def padded_to_square(rgb: U8, mean: Iterable[float]) -> U8:
    """A picture centred on a square of the mean colour; (S, S, 3)."""
    height, width, _ = rgb.shape
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = [int(channel * 255) for channel in mean]
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = rgb
    return square


def _max_tiles(config: Any) -> int:  # noqa: ANN401
    mode = str(config.vision_aspect_ratio)
    if not mode.startswith("anyres_max_") or not mode.removeprefix("anyres_max_").isdigit():
        raise WeightsError(f"vision_aspect_ratio is {mode!r}; supported: anyres_max_<n>")
    return int(mode.removeprefix("anyres_max_"))
