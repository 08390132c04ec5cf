"""SigLIP as the LLaVA families use it: pictures to patch features.

Letters: ``I`` pictures, ``P`` patches of one, ``C`` width of the tower.

Source: LLAVA.md 1.3 and 3.2.
"""

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from llava_custom.placement import input_device
from llava_custom.preprocess import to_pixel_values


class VisionTower:
    """A tower whose last layer is the one that the projector reads.

    Args:
        network: transformers' ``SiglipVisionModel``; the norm and head after its layers are unused.
        size_px: Side of the square it takes.
    """

    def __init__(self, network: Any, *, size_px: int) -> None:  # noqa: ANN401 - untyped there
        self._network = network
        self._size_px = size_px

    def features(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Patches of pictures of any size, (I, P, C)."""
        return patch_features(self._network, to_pixel_values(pictures, size_px=self._size_px))


def patch_features(network: Any, pixel_values: Tensor) -> Tensor:  # noqa: ANN401
    """The output of a tower's last layer, before the layer norm that follows it.

    Args:
        network: transformers' ``SiglipVisionModel``.
        pixel_values: As ``to_pixel_values`` makes them, shape (I, 3, H, W), anywhere.

    Returns:
        Shape (I, P, C), on the tower's device, in its precision.
    """
    dtype = network.embeddings.patch_embedding.weight.dtype
    patches = network.embeddings(pixel_values.to(input_device(network), dtype))
    features: Tensor = network.encoder(inputs_embeds=patches).last_hidden_state
    return features
