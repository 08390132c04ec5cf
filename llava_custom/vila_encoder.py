"""VILA's pictures and frames to tokens of its language model."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from llava_custom.preprocess import crop_views
from llava_custom.prompt import Visual
from llava_custom.views import View
from llava_custom.vila_config import VilaConfig
from llava_custom.vision_tower import VisionTower


class VilaEncoder:
    """Tower, then projector; pictures stand one after the other; see ``Eyes``.

    Args:
        network: A ``VilaNetwork``.
        config: Of the checkpoint.
    """

    def __init__(self, network: Any, config: VilaConfig) -> None:  # noqa: ANN401
        self._tower = VisionTower(network.model.vision_tower, size_px=config.image_size_px)
        self._project: Callable[[Tensor], Tensor] = network.model.multi_modal_projector

    def views(self, visual: Visual) -> Sequence[View]:
        """Frames, or a picture."""
        return crop_views(visual)

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The tokens of pictures, each (T, D)."""
        return self._project(self._tower.features([view.pixels() for view in views])).unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """The block of one visual, (T, D)."""
        return torch.cat(list(features))
