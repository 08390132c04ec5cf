"""LLaVA-Video's pictures and clips to tokens of its language model."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from llava_custom.llava_video_blocks import image_block, pool_frames, video_block
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.preprocess import crop_views
from llava_custom.prompt import Visual
from llava_custom.views import View
from llava_custom.vision_tower import VisionTower


class LlavaVideoEncoder:
    """Tower, projector, then pool and newlines; see ``Eyes``.

    Args:
        network: transformers' ``LlavaOnevisionForConditionalGeneration``.
        config: Of the checkpoint.
    """

    def __init__(self, network: Any, config: LlavaVideoConfig) -> None:  # noqa: ANN401
        self._tower = VisionTower(network.model.vision_tower, size_px=config.image_size_px)
        self._project: Callable[[Tensor], Tensor] = network.model.multi_modal_projector
        self._newline: Tensor = network.model.image_newline
        self._config = config

    def views(self, visual: Visual) -> Sequence[View]:
        """Frames, or a picture and its tiles."""
        return crop_views(visual)

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """Of a frame its pooled grid (h, w, D), of a crop its patches (P, D)."""
        features = self._project(self._tower.features([view.pixels() for view in views]))
        # Pooled at once: 64 frames of unpooled patches would be the largest tensor of all.
        is_clip = views[0].kind == "video"
        return (pool_frames(features, self._config.pool_mode) if is_clip else features).unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The block of one picture or clip, newlines included, (T, D)."""
        stacked = torch.stack(list(features))
        newline = self._newline.to(stacked.device)
        if visual.kind == "image":
            return image_block(stacked, newline, visual.tiling)
        return video_block(stacked, newline, self._config.newline)
