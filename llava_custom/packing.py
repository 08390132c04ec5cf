"""Several continuations of one beginning in a single row: each sees the beginning and itself.

They stand behind one another, at the positions they would have alone, and a mask keeps them apart.
So what is shared is neither copied nor read for each. Letters: ``T`` tokens of all continuations,
``S`` tokens that a layer holds of the beginning.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from llava_custom.embedded import Embedded

Masks = Tensor | Mapping[str, Tensor]


def pack(rests: Sequence[Embedded]) -> Embedded:
    """Continuations of text behind one another."""
    return Embedded(
        torch.cat([rest.inputs_embeds for rest in rests], dim=1),
        torch.cat([rest.positions for rest in rests], dim=1),
    )


def last_indices(rests: Sequence[Embedded]) -> list[int]:
    """Where the last token of each stands among all."""
    return [end - 1 for end in accumulate(len(rest) for rest in rests)]


def packed_masks(rests: Sequence[Embedded], kv_cache: DynamicCache, device: torch.device) -> Masks:
    """What each token sees, as transformers' decoders take it.

    Args:
        rests: The continuations.
        kv_cache: Of the beginning.
        device: Of the masks.

    Returns:
        True where it sees; shape (1, 1, T, S + T), one for each kind of layers where some have
        sliding windows.
    """
    lengths = torch.tensor([len(rest) for rest in rests])
    owners = torch.repeat_interleave(torch.arange(len(rests)), lengths)
    steps = torch.cat([torch.arange(len(rest)) for rest in rests])  # from the beginning's end
    windows = {layer.is_sliding: layer for layer in kv_cache.layers}
    masks = {
        "sliding_attention" if is_sliding else "full_attention": _mask(
            owners,
            steps,
            num_held=layer.keys.shape[-2] if layer.is_initialized else 0,
            window=layer.sliding_window if is_sliding else None,
        ).to(device)
        for is_sliding, layer in windows.items()
    }
    return masks if True in windows else masks["full_attention"]


def _mask(owners: Tensor, steps: Tensor, *, num_held: int, window: int | None) -> Tensor:
    held = torch.arange(-num_held, 0).expand(len(steps), -1)  # (T, S)
    sees_held = torch.ones_like(held, dtype=torch.bool)
    distances = steps[:, None] - steps[None]
    sees_own = (owners[:, None] == owners[None]) & (distances >= 0)
    if window is not None:
        sees_held = steps[:, None] - held < window
        sees_own &= distances < window
    return torch.cat([sees_held, sees_own], dim=1)[None, None]


@contextmanager
def masked_attention(config: Any) -> Iterator[None]:  # noqa: ANN401 - transformers is untyped here
    """Let a decoder of this configuration compute by a kernel that takes any mask."""
    usual = config._attn_implementation
    config._attn_implementation_internal = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation_internal = usual
