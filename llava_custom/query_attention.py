"""Attention of one query per head to the keys and values of a slab's rows.

Letters: ``R`` rows, ``H`` heads of keys, ``G`` queries that share one, ``C`` tokens, ``D`` width.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

MASK_MULTIPLE = 16  # CUDA's kernels take masks of such widths without copying them
MOST_WHOLE = 192  # tokens that a CPU reads sooner with those behind the end than without


def attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    num_seen: int,
    is_even: bool,
    scaling: float | None,
) -> Tensor:
    """What each query sees, (R, H, G, D).

    Args:
        query: (R, H, G, D).
        keys: (R, H, C, D), without gaps in memory.
        values: Likewise.
        mask: Added to the scores, (R, C).
        num_seen: Tokens of the longest row; may be more than are kept.
        is_even: Whether all rows are so long.
        scaling: Of the scores; that of the width by default.
    """
    num_rows, _, num_shared, width = query.shape
    num_slots = keys.shape[2]
    is_short = num_slots <= MOST_WHOLE and num_shared == 1
    if query.device.type == "cpu" and is_short and num_rows > 1:
        return _attend_whole(query, keys, values, mask, width**-0.5 if scaling is None else scaling)
    stop = min(num_seen, num_slots)
    if is_even:
        wide = None
    else:
        stop = min(-(-stop // MASK_MULTIPLE) * MASK_MULTIPLE, num_slots)
        wide = mask[:, None, None, :stop]
    return scaled_dot_product_attention(
        query, keys[:, :, :stop], values[:, :, :stop], attn_mask=wide, scale=scaling
    )


def _attend_whole(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scaling: float
) -> Tensor:
    """Likewise, for one query a head, by products of matrices without gaps between them.

    torch's attention reads head by head; where each is small, the processor does not foresee
    which memory comes next, and a third of the time is spent on waiting for it.
    """
    num_rows, num_heads, num_slots, _ = keys.shape
    queries = query.flatten(0, 1) * scaling  # (R * H, 1, D)
    scores = torch.bmm(queries, keys.flatten(0, 1).transpose(1, 2))  # (R * H, 1, C)
    scores.view(num_rows, num_heads, num_slots).add_(mask[:, None])
    return torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(*query.shape[:3], -1)
