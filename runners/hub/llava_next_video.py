"""LLaVA-NeXT-Video: every picture in tiles, a clip in pooled frames.

Source: transformers 5.23 models/llava_next_video.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from contracts.errors import WeightsError
from contracts.media import U8, Clip
from llava_custom import Visual
from llava_custom.views import View
from runners.hub.checkpoint import Loaded, read_video_settings
from runners.hub.frames import CLIP_MEAN, CLIP_STD, FrameScale, frame_views, stacked
from runners.hub.llava import select_features
from runners.hub.llava_onevision import AnyresPictures
from runners.hub.pieces import Piece
from runners.hub.vision import Still


class NextVideoVision:
    """Tiles and newlines, pooled frames without; see ``Vision``."""

    num_frames = 16
    size_wh = None

    def __init__(self, loaded: Loaded) -> None:
        config = loaded.config
        self.image_token = self.visual_token = loaded.token(config.image_token_id)
        self.video_token = loaded.token(config.video_token_id)
        self._loaded = loaded
        self._pictures = AnyresPictures(loaded, max_tiles=None)
        settings = read_video_settings(loaded.directory)
        self._scale = FrameScale.of(settings, mean=CLIP_MEAN, std=CLIP_STD)
        self._side_px: int = config.vision_config.image_size
        crop = settings.get("crop_size") or {}
        if (crop.get("height"), crop.get("width")) != (self._side_px, self._side_px):
            raise WeightsError(
                f"crop_size of the video processor is {crop}; the vision tower takes pictures of "
                f"{self._side_px} x {self._side_px}"
            )
        side = self._side_px // config.vision_config.patch_size
        self._patches_per_frame = (side // config.spatial_pool_stride) ** 2

    def picture(self, still: Still) -> Iterable[Piece]:
        """Tiles, also in company."""
        return [self._pictures.plan(still, is_padded=False)]

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """Frames of one length each."""
        frames = tuple(frame.rgb for frame in clip.frames)
        return [Visual("video", len(frames) * self._patches_per_frame, frames)]

    def views(self, visual: Visual) -> Sequence[View]:
        """A picture's crops, or frames."""
        return self._pictures.views(visual) if visual.kind == "image" else frame_views(visual)

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """Of a crop its patches, of a frame its tokens, (T, D)."""
        if views[0].kind == self._pictures.kind:
            return self._pictures.see(views)
        return self._pooled([view.pixels() for view in views]).unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The tokens of a picture or a clip, (T, D)."""
        if visual.kind == "image":
            return self._pictures.lay_out(visual, features)
        return torch.cat(list(features))

    def _pooled(self, frames: Sequence[U8]) -> Tensor:
        """Frames (H, W, 3) as tokens, (F, T, D); pooled before they are projected."""
        model = self._loaded.network.model
        features = select_features(self._loaded.network, self._pixel_values(frames))
        tokens: Tensor = model.multi_modal_projector(model.vision_resampler(features))
        return tokens

    def _pixel_values(self, frames: Sequence[U8]) -> Tensor:
        """Frames with their shorter edge scaled, and a square cut out of the middle."""
        side, (height, width, _) = self._side_px, frames[0].shape
        shorter = min(height, width)
        size_hw = (int(side * height / shorter), int(side * width / shorter))
        resized = self._scale.resized(stacked(frames), size_hw)
        top, left = ((length - side) // 2 for length in size_hw)
        return self._scale.normalised(resized[:, :, top : top + side, left : left + side])
