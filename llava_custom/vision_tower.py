"""SigLIP as the LLaVA families use it: pictures to patch features, a bounded number at once.

Letters: ``I`` pictures, ``P`` patches of one, ``C`` width of the tower.

Source: LLAVA.md 1.3 and 3.2.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from PIL import Image
from torch import Tensor

from llava_custom.placement import input_device
from llava_custom.preprocess import to_pixel_values
from llava_custom.vision_chunks import in_chunks


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
        self,
        pictures: Iterable[Image.Image],
        should_stop: Callable[[], bool],
        then: Callable[[Tensor], Tensor],
    ) -> Iterator[Tensor]:
        """What is made of pictures, chunk by chunk.

        Args:
            pictures: Read as they are needed.
            should_stop: Asked before every chunk.
            then: Makes it from a chunk's features, (I, P, C); a chunk that does not fit in memory
                is tried again in halves, this included.

        Raises:
            Stopped: ``should_stop`` said so.
            OutOfMemory: Halves do not fit either.
        """

        def compute(chunk: list[Image.Image]) -> Tensor:
            pixel_values = to_pixel_values(chunk, size_px=self._size_px)
            return then(patch_features(self._network, pixel_values))

        return in_chunks(
            pictures,
            compute,
            chunk_size=self._chunk,
            device=input_device(self._network),
            should_stop=should_stop,
        )


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
