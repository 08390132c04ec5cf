"""SigLIP as the LLaVA families use it: pictures to patch features, a bounded number at once.

Letters: ``I`` pictures, ``P`` patches of one, ``C`` width of the tower.

Source: LLAVA.md 1.3 and 3.2.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from PIL import Image
from torch import Tensor

from llava_custom.preprocess import to_pixel_values


class Stopped(Exception):
    """The caller asked encoding to stop; nothing was returned."""


def never() -> bool:
    """Do not stop."""
    return False


class VisionTower:
    """A tower whose last layer is the one that the projector reads.

    Args:
        network: transformers' ``SiglipVisionModel``; the norm and head after its layers are unused.
        size_px: Side of the square it takes.
        chunk: Pictures it takes at once.
    """

    def __init__(self, network: Any, *, size_px: int, chunk: int) -> None:  # noqa: ANN401
        self._network = network
        self._size_px = size_px
        self._chunk = chunk

    def features(
        self, pictures: Iterable[Image.Image], should_stop: Callable[[], bool]
    ) -> Iterator[Tensor]:
        """Features of pictures, chunk by chunk, each (I, P, C).

        Raises:
            Stopped: ``should_stop``, asked before every chunk, said so.
        """
        pending = iter(pictures)
        while chunk := list(islice(pending, self._chunk)):
            if should_stop():
                raise Stopped
            yield patch_features(self._network, to_pixel_values(chunk, size_px=self._size_px))


def patch_features(network: Any, pixel_values: Tensor) -> Tensor:  # noqa: ANN401
    """The output of a tower's last layer, before the layer norm that follows it.

    Args:
        network: transformers' ``SiglipVisionModel``.
        pixel_values: As ``to_pixel_values`` makes them, shape (I, 3, H, W), anywhere.

    Returns:
        Shape (I, P, C), on the tower's device, in its precision.
    """
    weight = network.embeddings.patch_embedding.weight
    patches = network.embeddings(pixel_values.to(weight.device, weight.dtype))
    features: Tensor = network.encoder(inputs_embeds=patches).last_hidden_state
    return features
