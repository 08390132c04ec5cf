"""LLaVA-Video's pictures and clips to tokens of its language model."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from llava_custom.llava_video_blocks import image_block, pool_frames, video_block
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.preprocess import crops
from llava_custom.prompt import Visual
from llava_custom.vision_tower import VisionTower


class LlavaVideoEncoder:
    """Tower, projector, then pool and newlines.

    Args:
        network: transformers' ``LlavaOnevisionForConditionalGeneration``.
        config: Of the checkpoint.
        chunk: Pictures the tower takes at once.
    """

    def __init__(self, network: Any, config: LlavaVideoConfig, *, chunk: int) -> None:  # noqa: ANN401
        tower = network.model.vision_tower
        self._tower = VisionTower(tower, size_px=config.image_size_px, chunk=chunk)
        self._project: Callable[[Tensor], Tensor] = network.model.multi_modal_projector
        self._newline: Tensor = network.model.image_newline
        self._config = config

    def encode(self, visual: Visual, should_stop: Callable[[], bool]) -> Tensor:
        """The block of one picture or clip, shape (T, D); see ``VisionLanguageModel.encode``."""
        pictures = crops(visual)
        if visual.kind == "image":
            features = torch.cat([*self._tower.features(pictures, should_stop, self._project)])
            return image_block(features, self._newline.to(features.device), visual.tiling)
        # Pooled chunk by chunk: 64 frames of unpooled patches would be the largest tensor of all.
        pooled = torch.cat([*self._tower.features(pictures, should_stop, self._pool)])
        return video_block(pooled, self._newline.to(pooled.device), self._config.newline)

    def _pool(self, features: Tensor) -> Tensor:
        """The tokens of frames, without newlines: (I, P, C) -> (I, h, w, D)."""
        return pool_frames(self._project(features), self._config.pool_mode)
