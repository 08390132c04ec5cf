"""LLaVA-1.5: every picture once, squared by its processor; a clip is a list of pictures.

Source: transformers 5.23 models/llava.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from contracts.errors import UnsupportedValue, WeightsError
from contracts.media import Clip
from llava_custom import Visual
from llava_custom.placement import input_device
from llava_custom.views import View
from runners.hub.checkpoint import Loaded, load_image_processor
from runners.hub.pieces import Piece
from runners.hub.vision import Still


class LlavaVision:
    """A CLIP or SigLIP tower and a projector; see ``Vision``."""

    video_token = None
    num_frames = 4  # 576 tokens each, of 4096
    size_wh = None

    def __init__(self, loaded: Loaded) -> None:
        self.image_token = self.visual_token = loaded.token(loaded.config.image_token_id)
        self._loaded = loaded
        self._processor = load_image_processor(loaded.directory)
        self._num_tokens = num_patches(loaded.config)
        check_size(self._processor, loaded.config.vision_config.image_size)

    def picture(self, still: Still) -> Iterable[Piece]:
        """One visual, always of one length."""
        return [Visual(still.kind, self._num_tokens, (still.rgb,))]

    def clip(self, clip: Clip) -> Iterable[Piece]:
        """Never asked: there is no ``video_token``."""
        raise UnsupportedValue("this model takes clips as pictures")

    def views(self, visual: Visual) -> Sequence[View]:
        """The picture."""
        return [View(visual.digests, visual.kind, lambda: crops(self._processor, visual))]

    def see(self, views: Sequence[View]) -> Sequence[Tensor]:
        """The tokens of pictures, each (T, D)."""
        return project(self._loaded.network, torch.cat([view.pixels() for view in views])).unbind()

    def lay_out(self, visual: Visual, features: Sequence[Tensor]) -> Tensor:
        """One picture's tokens, (T, D)."""
        return features[0]


def crops(processor: Any, visual: Visual) -> Tensor:  # noqa: ANN401 - transformers is untyped here
    """What the tower sees of one picture: float32, (I, 3, H, W)."""
    picture = Image.fromarray(visual.pictures[0])
    pixel_values: Tensor = processor(picture, return_tensors="pt").pixel_values
    return pixel_values.reshape(-1, *pixel_values.shape[-3:])


def num_patches(config: Any) -> int:  # noqa: ANN401
    """Tokens of one crop: the tower's patches, and what is not one where it is kept."""
    side: int = config.vision_config.image_size // config.vision_config.patch_size
    has_class_token = config.vision_config.model_type == "clip_vision_model"
    drops_first = config.vision_feature_select_strategy == "default"
    return side**2 + int(has_class_token) - int(drops_first)


def project(network: Any, pixel_values: Tensor) -> Tensor:  # noqa: ANN401
    """Pictures through tower and projector: (I, 3, H, W) -> (I, P, D)."""
    features = select_features(network, pixel_values)
    projected: Tensor = network.model.multi_modal_projector(features)
    return projected


def select_features(network: Any, pixel_values: Tensor) -> Tensor:  # noqa: ANN401
    """What the projector reads of pictures: (I, 3, H, W) -> (I, P, width of the tower).

    Source: ``get_image_features`` of transformers' LLaVA classes.
    """
    config, tower = network.config, network.model.vision_tower
    layer = config.vision_feature_layer
    states = tower(
        pixel_values.to(input_device(tower), tower.dtype),
        output_hidden_states=layer,
        return_dict=True,
    ).hidden_states
    layers = [layer] if isinstance(layer, int) else layer
    features = torch.cat([states[index] for index in layers], dim=-1)
    return features[:, 1:] if config.vision_feature_select_strategy == "default" else features


def check_size(processor: Any, size_px: int) -> None:  # noqa: ANN401
    """Refuse a processor whose pictures do not fit the tower.

    Raises:
        WeightsError: Says both sizes.
    """
    shape = tuple(processor(Image.new("RGB", (64, 48)), return_tensors="pt").pixel_values.shape)
    if shape[-2:] != (size_px, size_px):
        raise WeightsError(
            f"the vision tower takes pictures of {size_px} x {size_px}; preprocessor_config.json "
            f"makes them {shape[-2]} x {shape[-1]}"
        )
