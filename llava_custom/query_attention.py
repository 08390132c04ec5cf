"""Attention of one query per head to the keys and values of a slab's rows.

Letters: ``R`` rows, ``H`` heads of keys, ``G`` queries that share one, ``C`` tokens, ``D`` width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

MASK_MULTIPLE = 16  # CUDA's kernels take masks of such widths without copying them
MOST_WHOLE = 192  # tokens that a CPU reads sooner with those behind the end than without


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What queries saw of some tokens, to which what they saw of others can be put.

    Attributes:
        values: (R, H, G, D).
        log_sums: Logarithms of the sums of the exponentials of the scores, (R, H, G).
    """

    values: Tensor
    log_sums: Tensor

    def with_others(self, others: "Seen") -> Tensor:
        """What the same queries see of all those tokens, (R, H, G, D)."""
        weight = torch.sigmoid(others.log_sums - self.log_sums)
        return torch.lerp(self.values, others.values, weight[..., None])


@dataclass(slots=True, eq=False)  # frozen ones take longer to make, and a step makes many
class HeldTokens:
    """Keys and values of rows in a layer.

    Attributes:
        keys: (R, H, C, D), without gaps in memory.
        values: Likewise.
        mask: Added to the scores, (R, C) or more of both; may be on another device.
        num_seen: Tokens of the longest row; may be more than are kept.
        is_even: Whether all rows are so long.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    num_seen: int
    is_even: bool

    def attend(self, query: Tensor, scaling: float | None) -> Tensor:
        """What each query sees: (R, H, G, D) -> (R, H, G, D)."""
        if self._is_read_whole(query):
            return self._weighed(self._scores(query, scaling).softmax(-1), query)
        keys, values, mask = self._seen_tokens()
        return scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling)

    def attend_in_part(self, query: Tensor, scaling: float | None) -> Seen:
        """Likewise, where the rows have tokens elsewhere; on CPUs."""
        if not self._is_read_whole(query):
            return attend_flash(query, *self._seen_tokens(), scaling)
        scores = self._scores(query, scaling)
        weights = scores.softmax(-1)
        log_sums = scores.amax(-1) - weights.amax(-1).log()  # logsumexp takes three times as long
        return Seen(self._weighed(weights, query), log_sums.view(query.shape[:3]))

    def _is_read_whole(self, query: Tensor) -> bool:
        """Whether products of matrices without gaps between them are faster.

        torch's attention goes head by head; where each is small, the processor does not foresee
        which memory comes next, and a third of the time is spent on waiting for it.
        """
        num_rows, _, num_shared, _ = query.shape
        is_short = self.keys.shape[2] <= MOST_WHOLE and num_shared == 1
        return query.device.type == "cpu" and is_short and num_rows > 1

    def _scores(self, query: Tensor, scaling: float | None) -> Tensor:
        """Of one query a head, (R * H, 1, C)."""
        num_rows, num_heads, num_slots, width = self.keys.shape
        queries = query.flatten(0, 1) * (width**-0.5 if scaling is None else scaling)
        scores = torch.bmm(queries, self.keys.flatten(0, 1).transpose(1, 2))
        scores.view(num_rows, num_heads, num_slots).add_(self.mask[:num_rows, None, :num_slots])
        return scores

    def _weighed(self, weights: Tensor, query: Tensor) -> Tensor:
        return torch.bmm(weights, self.values.flatten(0, 1)).view(*query.shape[:3], -1)

    def _seen_tokens(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys, values and a mask, as far as a row has tokens."""
        num_slots = self.keys.shape[2]
        stop = min(self.num_seen, num_slots)
        mask = None
        if not self.is_even:
            stop = min(-(-stop // MASK_MULTIPLE) * MASK_MULTIPLE, num_slots)
            mask = self.mask[: len(self.keys), None, None, :stop].to(self.keys.device)
        return self.keys[:, :, :stop], self.values[:, :, :stop], mask


def attend_flash(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None
) -> Seen:
    """Torch's attention on CPUs, (R, H, G, D) to (R, H, C, D), with its sums."""
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return Seen(*attention(query, keys, values, attn_mask=mask, scale=scaling))
