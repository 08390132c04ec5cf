"""The beginning that several rows have in common: held once, and read once for all of them.

Knows nothing of prompts. Letters: ``N`` rows, ``H`` heads of keys, ``G`` queries that share one,
``T`` tokens, ``D`` width.
"""

from dataclasses import dataclass, field
from typing import Self

from torch import Tensor

from llava_custom.query_attention import Seen, attend_flash

LEAST_SHARED = 128  # tokens; fewer are read by each of four rows as soon as once for all


@dataclass(slots=True, eq=False)
class SharedBeginning:
    """Keys and values of the first tokens of some rows, never written to.

    Attributes:
        keys: Of each layer, (H, T, D).
        values: Likewise.
        num_rows: That begin with it.
        num_bytes: The memory it keeps, also behind its end where it was longer once.
    """

    keys: list[Tensor]
    values: list[Tensor]
    num_rows: int = 0
    num_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_bytes = sum(one.untyped_storage().nbytes() for one in self.tensors)

    @property
    def num_tokens(self) -> int:
        """``T``."""
        return self.keys[0].shape[1]

    @property
    def tensors(self) -> list[Tensor]:
        """The keys of all layers, then the values."""
        return [*self.keys, *self.values]

    def shorter(self, num_tokens: int) -> Self:
        """The first tokens of it; the memory is the same."""
        keys, values = ([one[:, :num_tokens] for one in side] for side in (self.keys, self.values))
        return type(self)(keys, values)

    def attend(self, layer_index: int, query: Tensor, scaling: float | None) -> Seen:
        """What the rows' queries, (N, H, G, D), see of it: in one product for each head."""
        num_rows, num_heads, num_shared, width = query.shape
        together = query.transpose(0, 1).reshape(1, num_heads, num_rows * num_shared, width)
        seen = attend_flash(
            together, self.keys[layer_index][None], self.values[layer_index][None], None, scaling
        )
        sides = (num_heads, num_rows, num_shared)
        return Seen(
            seen.values.view(*sides, width).transpose(0, 1),
            seen.log_sums.reshape(sides).transpose(0, 1),
        )


def num_sharable(beginning: SharedBeginning | None, num_common: int) -> int:
    """How many tokens another may share with a row whose first tokens are also its own.

    Counted is what a step reads. More than the row shares already would be read beside what the
    others share; where it shares more, its beginning is cut, and the rest becomes each row's own.

    Args:
        beginning: The row's.
        num_common: Tokens with which both begin.
    """
    if beginning is None:
        return num_common
    num_more = num_common - beginning.num_tokens
    is_read_beside = beginning.num_rows > 1
    if num_more >= LEAST_SHARED and (not is_read_beside or 2 * num_more > num_common):
        return num_common
    is_cut_worth_it = -num_more * beginning.num_rows < num_common
    return min(num_common, beginning.num_tokens) if is_cut_worth_it else 0
