"""Visual features that go into the first layers of a decoder, too, not only into its input.

Letters: ``L`` layers that get some, ``T`` tokens, ``D`` hidden size.

Source: ``Qwen3VLTextModel`` in transformers 5.23 models/qwen3_vl.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from transformers import DynamicCache

from llava_custom import Embedded, Prompt, Visual
from runners.hub.mrope import MropeDecoder, prompt_positions


@dataclass(frozen=True, slots=True, eq=False)
class DeepEmbedded(Embedded):
    """A prompt with features for the first layers.

    Attributes:
        deepstack: Added to what those layers give; shape (L, T, D), zero at text; ``None`` where a
            prompt has no media.
    """

    deepstack: Tensor | None = None

    def stretch(self, start: int, stop: int) -> Self:
        """The tokens from one to before another."""
        found = Embedded.stretch(self, start, stop)
        deepstack = None if self.deepstack is None else self.deepstack[:, start:stop]
        return type(self)(found.inputs_embeds, found.positions, deepstack)


class DeepstackDecoder(MropeDecoder):
    """A decoder whose first layers get visual features; a visual's block is (T, (1 + L) * D)."""

    def __init__(self, network: Any, decoder: Any) -> None:  # noqa: ANN401 - untyped there
        super().__init__(network, decoder)
        self._num_features = len(network.config.vision_config.deepstack_visual_indexes)

    def embed(self, prompt: Prompt, blocks: Iterable[Tensor]) -> Embedded:
        """Put embedded text and the visuals' blocks together, by layer."""
        blocks = list(blocks)
        width: int = self.config.hidden_size
        inputs = super().embed(prompt, [block[:, :width] for block in blocks])
        if not blocks:
            return DeepEmbedded(inputs.inputs_embeds, inputs.positions)
        num_layers = blocks[0].shape[1] // width - 1
        deepstack = inputs.inputs_embeds.new_zeros(num_layers, len(inputs), width)
        remaining, at = iter(blocks), 0
        for segment in prompt.segments:
            length = segment.num_tokens if isinstance(segment, Visual) else len(segment)
            if isinstance(segment, Visual):
                features = next(remaining)[:, width:].unflatten(1, (num_layers, width))
                deepstack[:, at : at + length] = features.transpose(0, 1)  # (T, L, D) -> (L, T, D)
            at += length
        return DeepEmbedded(inputs.inputs_embeds, prompt_positions(prompt), deepstack)

    @property
    def block_width(self) -> int:
        """Numbers of a visual's token: for the input, then for each of the first layers."""
        return super().block_width * (1 + self._num_features)

    def arguments(self, embedded: Embedded, kv_cache: DynamicCache) -> Mapping[str, Any]:
        """The features of each layer; text gets zeros, which change nothing."""
        assert isinstance(embedded, DeepEmbedded)
        if embedded.deepstack is None:
            return {}
        everywhere = torch.ones(1, len(embedded), dtype=torch.bool, device=self.device)
        return {
            "visual_pos_masks": everywhere,
            "deepstack_visual_embeds": list(embedded.deepstack),
        }
