"""VILA's pictures and frames to tokens of its language model."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from llava_custom.preprocess import crops
from llava_custom.prompt import Visual
from llava_custom.vila_config import VilaConfig
from llava_custom.vision_tower import VisionTower


class VilaEncoder:
    """Tower, then projector; pictures stand one after the other.

    Args:
        network: A ``VilaNetwork``.
        config: Of the checkpoint.
        chunk: Pictures the tower takes at once.
    """

    def __init__(self, network: Any, config: VilaConfig, *, chunk: int) -> None:  # noqa: ANN401
        tower = network.model.vision_tower
        self._tower = VisionTower(tower, size_px=config.image_size_px, chunk=chunk)
        self._project: Callable[[Tensor], Tensor] = network.model.multi_modal_projector

    def encode(self, visual: Visual, should_stop: Callable[[], bool]) -> Tensor:
        """The block of one visual, shape (T, D); see ``VisionLanguageModel.encode``."""
        tokens = torch.cat([*self._tower.features(crops(visual), should_stop, self._project)])
        return tokens.flatten(0, 1)  # (I, T, D) -> (I * T, D)
