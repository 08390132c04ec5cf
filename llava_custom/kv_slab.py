"""Keys and values of rows of similar length, in one piece of memory for each layer.

A row is written in place, token by token, up to the slab's capacity. Layers with a sliding window
keep as many tokens as the window has, the newest in the place of the oldest: attention does not
mind their order. Not thread-safe. Letters: ``R`` rows allocated, ``C`` capacity, ``H`` heads of
keys, ``D`` width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor
from transformers import DynamicCache

from llava_custom.device_memory import attempt


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What a layer keeps of a token.

    Attributes:
        num_heads: Of keys and values.
        key_dim: Width of a head of keys.
        value_dim: Width of a head of values.
        dtype: In which they are held: float32 on CPUs, whose attention is many times faster in it.
        device: Where the layer computes.
        window: How many tokens it sees; ``None`` is all.
    """

    num_heads: int
    key_dim: int
    value_dim: int
    dtype: torch.dtype
    device: torch.device
    window: int | None

    @classmethod
    def all_of(cls, kv_cache: DynamicCache) -> tuple[Self, ...]:
        """The layers of a cache that was written to."""
        return tuple(
            cls(
                num_heads=layer.keys.shape[1],
                key_dim=layer.keys.shape[-1],
                value_dim=layer.values.shape[-1],
                dtype=torch.float32 if layer.keys.device.type == "cpu" else layer.keys.dtype,
                device=layer.keys.device,
                window=layer.sliding_window if layer.is_sliding else None,
            )
            for layer in kv_cache.layers
        )

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token."""
        return self.num_heads * (self.key_dim + self.value_dim) * self.dtype.itemsize

    def num_slots(self, capacity: int) -> int:
        """Tokens that are kept of so many."""
        return capacity if self.window is None else min(capacity, self.window)


@dataclass(slots=True, eq=False)
class Row:
    """One sequence's place.

    Attributes:
        length: Tokens whose keys and values are held.
    """

    length: int
    slab: "Slab"
    index: int


@dataclass(slots=True, eq=False)
class Slab:
    """Rows that hold at most ``capacity`` tokens each.

    Behind the end of a row are zeros: what a mask leaves out must be a number all the same, and
    those of a row that was there before may be none.

    Args:
        capacity: Tokens of a row.
        shapes: Of the layers.
        max_rows: Rows it may have.
        num_allocated: Rows that there is memory for, ``R``.

    Attributes:
        row_bytes: Memory of one row.
        rows: In the order of their memory, without gaps.
        lengths: Of the rows, on the first layer's device; shape (R,).
        mask: Added to attention's scores: 0 at tokens of a row, minus infinity behind; (R, C).
        keys: Of each layer, (R, H, C, D).
        values: Likewise.
    """

    capacity: int
    shapes: Sequence[LayerShape]
    max_rows: int
    num_allocated: int = 1
    row_bytes: int = field(init=False)
    rows: list[Row] = field(default_factory=list, init=False)
    lengths: Tensor = field(init=False)
    mask: Tensor = field(init=False)
    keys: list[Tensor] = field(init=False)
    values: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.row_bytes = sum(
            shape.bytes_per_token * shape.num_slots(self.capacity) for shape in self.shapes
        )
        device, dtype = self.shapes[0].device, self.shapes[0].dtype
        size = (self.num_allocated, self.capacity)
        self.lengths = torch.zeros(self.num_allocated, dtype=torch.int64, device=device)
        self.mask = torch.full(size, -torch.inf, dtype=dtype, device=device)
        self.keys = [self._empty(shape, shape.key_dim) for shape in self.shapes]
        self.values = [self._empty(shape, shape.value_dim) for shape in self.shapes]

    @property
    def has_room(self) -> bool:
        """Whether one more row may come."""
        return len(self.rows) < self.max_rows

    def new_row(self, length: int) -> Row:
        """A row whose tokens are still to be written."""
        index = len(self.rows)
        if index == self.num_allocated:
            self._resize(min(2 * index, self.max_rows))
        self.lengths[index] = length
        self.mask[index] = -torch.inf
        self.mask[index, :length] = 0
        row = Row(length, self, index)
        self.rows.append(row)
        return row

    def remove(self, row: Row) -> None:
        """Let a row go; the last one takes its place."""
        last = self.rows.pop()
        if last is not row:
            self._move(last, row.index)
        if 0 < 4 * len(self.rows) <= self.num_allocated:
            attempt(lambda: self._resize(2 * len(self.rows)))  # else it stays as it is

    def take(self, row: Row) -> None:
        """Move a row from a smaller slab to this one."""
        source, index, length = row.slab, row.index, row.length
        place = self.new_row(length)
        for mine, theirs in zip(self._tensors(), source._tensors(), strict=True):
            mine[place.index, :, : theirs.shape[2]] = theirs[index]
            mine[place.index, :, theirs.shape[2] :] = 0
        source.remove(row)
        row.slab, row.index = self, place.index
        self.rows[place.index] = row

    def write(self, row: Row, kv_cache: DynamicCache) -> None:
        """Copy a prompt's keys and values, shape (1, H, T, D), into a row of its length."""
        for index, layer in enumerate(kv_cache.layers):
            slots = self.shapes[index].num_slots(self.capacity)
            first = max(0, row.length - slots, row.length - layer.keys.shape[2])
            at = torch.arange(first, row.length, device=layer.keys.device) % slots
            for mine, theirs in (
                (self.keys[index], layer.keys),
                (self.values[index], layer.values),
            ):
                newest = theirs[0, :, first - row.length :]  # (H, T, D)
                mine[row.index].index_copy_(1, at, newest.to(mine.dtype))
                mine[row.index, :, row.length :] = 0

    def _tensors(self) -> list[Tensor]:
        return [*self.keys, *self.values]

    def _move(self, row: Row, index: int) -> None:
        for tensor in self._tensors():
            tensor[index] = tensor[row.index]
        self.lengths[index], self.mask[index] = self.lengths[row.index], self.mask[row.index]
        self.rows[index] = row
        row.index = index

    def _state(self) -> list[Tensor]:
        return [*self._tensors(), self.lengths, self.mask]

    def _empty(self, shape: LayerShape, width: int) -> Tensor:
        size = (self.num_allocated, shape.num_heads, shape.num_slots(self.capacity), width)
        return torch.empty(size, dtype=shape.dtype, device=shape.device)

    def _resize(self, num_rows: int) -> None:
        """Change the memory; as it was where there is none."""
        other = Slab(self.capacity, self.shapes, self.max_rows, num_rows)
        for mine, theirs in zip(other._state(), self._state(), strict=True):
            mine[: len(self.rows)] = theirs[: len(self.rows)]
        self.lengths, self.mask = other.lengths, other.mask
        self.keys, self.values, self.num_allocated = other.keys, other.values, num_rows
