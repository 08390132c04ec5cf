"""What a layer does in a decode step: each row's query asks what the row holds, and what it shares.

Letters: ``B`` rows, ``R`` rows of one slab, ``H`` heads of queries, ``C`` tokens, ``D`` width of a
head.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from llava_custom.kv_slab import LayerShape, Row, Slab
from llava_custom.query_attention import HeldTokens, Seen
from llava_custom.shared_beginning import SharedBeginning


@dataclass(frozen=True, slots=True, eq=False)
class SlabStep:
    """The rows of one slab in a step.

    Attributes:
        slab: Whose rows they are.
        start: Index of the first one in the batch.
        stop: Behind the last one.
        num_seen: Own tokens of the longest row, the new one included.
        is_even: Whether all rows have so many.
        lengths: Of the rows, without the new token.
    """

    slab: Slab
    start: int
    stop: int
    num_seen: int
    is_even: bool
    lengths: Tensor

    @classmethod
    def of(cls, slab: Slab, start: int) -> "SlabStep":
        """The next step of a slab; its mask shows the new tokens from here on."""
        num_rows = len(slab.rows)
        lengths = slab.lengths[:num_rows]
        slab.mask[torch.arange(num_rows, device=lengths.device), lengths] = 0
        longest = max(row.length for row in slab.rows)
        is_even = all(row.length == longest for row in slab.rows)
        return cls(slab, start, start + num_rows, longest + 1, is_even, lengths)

    def held(self, layer_index: int) -> HeldTokens:
        """What the rows hold themselves in a layer."""
        num_rows = len(self.lengths)
        return HeldTokens(
            self.slab.keys[layer_index][:num_rows],
            self.slab.values[layer_index][:num_rows],
            self.slab.mask,
            self.num_seen,
            self.is_even,
        )

    def slots(self, num_heads: int, num_slots: int) -> Tensor:
        """Where new tokens go in a layer that keeps so many, over all rows and heads; (R * H,)."""
        num_rows, device = len(self.lengths), self.lengths.device
        firsts = torch.arange(num_rows * num_heads, device=device).view(num_rows, num_heads)
        at = self.lengths if num_slots == self.slab.capacity else self.lengths % num_slots
        return (firsts * num_slots + at[:, None]).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """The rows of a step that begin alike.

    Attributes:
        beginning: What they share.
        rows: Where they stand in the batch.
    """

    beginning: SharedBeginning
    rows: slice | Tensor

    @classmethod
    def all_of(cls, rows: Iterable[Row]) -> "list[Sharing]":
        """From the rows of a batch, in order."""
        found: dict[int, tuple[SharedBeginning, list[int]]] = {}
        for at, row in enumerate(rows):
            if row.beginning is not None:
                found.setdefault(id(row.beginning), (row.beginning, []))[1].append(at)
        return [
            cls(
                beginning,
                slice(at[0], at[-1] + 1) if at[-1] - at[0] < len(at) else torch.tensor(at),
            )
            for beginning, at in found.values()
        ]


@dataclass(slots=True, eq=False)
class LayerStep:
    """A layer whose new tokens are written, ready to be asked."""

    layer_index: int
    shape: LayerShape
    parts: list[SlabStep]
    sharings: list[Sharing]

    def attend(self, query: Tensor, scaling: float | None) -> Tensor:
        """What each row's query sees: (B, H, 1, D) -> (B, 1, H, D)."""
        num_rows, num_heads, _, width = query.shape
        # Heads that share keys stand where else several tokens would: no key is copied for them.
        grouped = query.reshape(num_rows, self.shape.num_heads, -1, width).to(self.shape.dtype)
        if self.sharings:
            seen = self._with_beginnings(grouped, scaling)
        else:
            seen = _joined([held.attend(part, scaling) for held, part in self._parted(grouped)])
        return seen.reshape(num_rows, 1, num_heads, -1).to(query.dtype)

    def _with_beginnings(self, query: Tensor, scaling: float | None) -> Tensor:
        parts = [held.attend_in_part(part, scaling) for held, part in self._parted(query)]
        values = _joined([part.values for part in parts])
        log_sums = _joined([part.log_sums for part in parts])
        for sharing in self.sharings:
            rows = sharing.rows
            beginning = sharing.beginning.attend(self.layer_index, query[rows], scaling)
            values[rows] = Seen(values[rows], log_sums[rows]).with_others(beginning)
        return values

    def _parted(self, query: Tensor) -> Iterator[tuple[HeldTokens, Tensor]]:
        for part in self.parts:
            yield part.held(self.layer_index), query[part.start : part.stop]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
