"""Stretches of several prompts in one pass through layers of the Llama kind.

Products see the tokens of all prompts as rows of one matrix; attention is computed prompt by
prompt, over what its cache holds and the stretch itself. Only the last token of a stretch goes
through the whole of the last layer. Outputs equal transformers' within rounding. Belongs to the
thread that owns the device.

Letters: ``K`` stretches, ``N`` tokens of all of them, ``T`` of one, ``S`` tokens that a layer holds
with those, ``D`` hidden size, ``H`` heads, ``W`` width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import DynamicCache

from llava_custom.embedded import Embedded
from llava_custom.lean_layers import LeanLayer, LeanLayers, Rotation

ATTENTION = "sdpa"  # transformers' name of what is computed here


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Tokens of one prompt, and the cache that they extend.

    Attributes:
        embedded: At least one token, in one row.
        kv_cache: Of what stands before them.
    """

    embedded: Embedded
    kv_cache: DynamicCache

    def __len__(self) -> int:
        """Tokens ``T``."""
        return len(self.embedded)


def can_read(layers: LeanLayers | None, config: Any) -> bool:  # noqa: ANN401 - transformers' own
    """Whether prompts are read by these layers: their kind is known, and so is the attention."""
    return layers is not None and config._attn_implementation == ATTENTION


def read(layers: LeanLayers, stretches: Sequence[Stretch]) -> Tensor:
    """Read stretches of different prompts; what comes out at the last token of each, (K, D)."""
    ends = [0, *accumulate(map(len, stretches))]
    hidden = torch.cat([stretch.embedded.inputs_embeds[0] for stretch in stretches])
    parts = [
        Part.of(stretch, slice(start, stop), hidden)
        for stretch, (start, stop) in zip(stretches, pairwise(ends), strict=True)
    ]
    rotation = _rotation(layers, hidden, stretches)
    *others, last = layers.layers
    for layer in others:
        query, key, value = layer.project(hidden, rotation)
        seen = [part.attend(layer, query, key, value) for part in parts]
        hidden = layer.finish(hidden, _joined(seen))
    at = torch.tensor(ends[1:], device=hidden.device) - 1
    normed = last.before_attention(hidden)
    key, value = last.keys_and_values(normed, rotation)
    query = last.queries(normed[at], rotation[at])
    seen = [
        part.attend_last(last, one, key, value)
        for part, one in zip(parts, query.split(1), strict=True)
    ]
    return layers.norm(last.finish(hidden[at], _joined(seen)))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One stretch among the tokens of all.

    Attributes:
        tokens: Where it is.
        kv_cache: Extended, layer by layer.
        masks: By window, see ``_mask``.
    """

    tokens: slice
    kv_cache: DynamicCache
    masks: dict[int | None, Tensor | None]

    @classmethod
    def of(cls, stretch: Stretch, tokens: slice, hidden: Tensor) -> Self:
        """A stretch whose tokens are there in ``hidden``."""
        masks: dict[int | None, Tensor | None] = {}
        for layer in stretch.kv_cache.layers:
            window = _window(layer)
            if window not in masks:
                num_held = layer.keys.shape[-2] if layer.is_initialized else 0
                masks[window] = _mask(len(stretch), num_held, window, hidden)
        return cls(tokens, stretch.kv_cache, masks)

    def attend(self, layer: LeanLayer, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What the stretch's tokens see in a layer: all tokens' (N, H, W) -> (T, H, W)."""
        keys, values = self._extend(layer, key, value)
        mask = self.masks[_window(self.kv_cache.layers[layer.index])]
        queries = query[self.tokens].transpose(0, 1)[None]
        num_repeats = queries.shape[1] // keys.shape[1]
        if mask is not None and keys.is_cuda:  # whose kernels know either masks or shared heads
            keys, values = (one.repeat_interleave(num_repeats, dim=1) for one in (keys, values))
        seen = scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            is_causal=mask is None and queries.shape[2] > 1,
            scale=layer.scaling,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )
        return seen[0].transpose(0, 1)

    def attend_last(self, layer: LeanLayer, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What its last token sees, from that one's query: (1, H, W)."""
        keys, values = self._extend(layer, key, value)
        window = _window(self.kv_cache.layers[layer.index])
        if window is not None:
            keys, values = keys[:, :, -window:], values[:, :, -window:]
        # Heads that share keys stand where else several tokens would: no key is copied for them.
        shared = query.reshape(1, keys.shape[1], -1, query.shape[-1])
        seen = scaled_dot_product_attention(shared, keys, values, scale=layer.scaling)
        return seen.reshape(1, -1, values.shape[-1])

    def _extend(self, layer: LeanLayer, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the stretch's keys and values; all that its tokens may see, (1, heads, S, W)."""
        new = (one[self.tokens].transpose(0, 1)[None] for one in (key, value))
        keys, values = self.kv_cache.update(*new, layer.index)
        return keys, values


def _window(layer: Any) -> int | None:  # noqa: ANN401 - a layer of transformers' cache
    return layer.sliding_window if layer.is_sliding else None


def _mask(num_tokens: int, num_held: int, window: int | None, like: Tensor) -> Tensor | None:
    """What is added to scores, (1, 1, T, S); ``None`` where each token sees all up to itself."""
    if num_tokens == 1 or (not num_held and (window is None or num_tokens <= window)):
        return None
    tokens = torch.arange(num_tokens, device=like.device)[:, None]
    seen = torch.arange(-num_held, num_tokens, device=like.device)
    is_hidden = seen > tokens  # no matrix of distances, which would take eight bytes each
    if window is not None:
        is_hidden |= seen <= tokens - window
    mask = like.new_zeros(is_hidden.shape).masked_fill_(is_hidden, -torch.inf)
    return mask[None, None]


def _rotation(layers: LeanLayers, hidden: Tensor, stretches: Sequence[Stretch]) -> Rotation:
    """Of each prompt by itself: some embeddings look at how far the tokens go that they get."""
    found = [
        layers.rotation(hidden, stretch.embedded.positions[0].to(hidden.device))
        for stretch in stretches
    ]
    return Rotation(_joined([one.cosine for one in found]), _joined([one.sine for one in found]))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
