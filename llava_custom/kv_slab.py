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
from llava_custom.shared_beginning import SharedBeginning
from llava_custom.symbols import Symbols


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

    @property
    def can_share(self) -> bool:
        """Whether rows may have a beginning in common: on CPUs, where no window moves over it."""
        is_on_cpu = self.device.type == "cpu"
        return is_on_cpu and self.window is None and self.key_dim == self.value_dim

    def num_slots(self, capacity: int) -> int:
        """Tokens that are kept of so many."""
        return capacity if self.window is None else min(capacity, self.window)


@dataclass(slots=True, eq=False)
class Row:
    """One sequence's place.

    Attributes:
        length: Tokens whose keys and values it holds itself.
        symbols: What tells its prompt's tokens apart; ``None`` shares none of them.
        beginning: Of the tokens ahead of those.
    """

    length: int
    slab: "Slab"
    index: int
    symbols: Symbols | None = None
    beginning: SharedBeginning | None = None

    @property
    def num_shared(self) -> int:
        """Tokens of the beginning."""
        return self.beginning.num_tokens if self.beginning else 0

    @property
    def num_tokens(self) -> int:
        """All that it sees."""
        return self.num_shared + self.length

    @property
    def num_bytes(self) -> int:
        """Its memory, and its part of what it shares."""
        if self.beginning is None:
            return self.slab.row_bytes
        return self.slab.row_bytes + self.beginning.num_bytes // self.beginning.num_rows

    @property
    def num_bytes_spared(self) -> int:
        """Memory that others hold for it."""
        if self.beginning is None:
            return 0
        return self.beginning.num_bytes - self.beginning.num_bytes // self.beginning.num_rows

    def begin_with(self, beginning: SharedBeginning | None) -> None:
        """Share another beginning, or none."""
        if self.beginning:
            self.beginning.num_rows -= 1
        self.beginning = beginning
        if beginning:
            beginning.num_rows += 1

    def first(self, num_tokens: int) -> SharedBeginning:
        """A copy of its first tokens, for several to begin with."""
        copies = [
            torch.cat(self.pieces(number, 0, num_tokens), dim=1)
            for number in range(len(self.slab.tensors))
        ]
        num_layers = len(copies) // 2
        return SharedBeginning(copies[:num_layers], copies[num_layers:])

    def pieces(self, number: int, start: int, stop: int) -> list[Tensor]:
        """Of one of the slab's tensors, its tokens from one to before another; (H, T, D) each."""
        own = self.slab.tensors[number][self.index, :, : self.length]
        num_shared = self.num_shared
        pieces = [own[:, max(0, start - num_shared) : max(0, stop - num_shared)]]
        if self.beginning and start < num_shared:
            pieces.insert(0, self.beginning.tensors[number][:, start:stop])
        return pieces


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
    def tensors(self) -> list[Tensor]:
        """The keys of all layers, then the values."""
        return [*self.keys, *self.values]

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

    def take(self, row: Row, beginning: SharedBeginning | None) -> None:
        """Move a row here, perhaps from here; it keeps its tokens, those behind the beginning."""
        stop, start = row.num_tokens, beginning.num_tokens if beginning else 0
        place = self.new_row(stop - start)
        for number, mine in enumerate(self.tensors):
            at = 0
            for piece in row.pieces(number, start, stop):
                mine[place.index, :, at : at + piece.shape[1]] = piece
                at += piece.shape[1]
            mine[place.index, :, at:] = 0
        row.slab.remove(row)
        row.slab, row.index, row.length = self, place.index, place.length
        row.begin_with(beginning)
        self.rows[place.index] = row

    def write(self, row: Row, kv_cache: DynamicCache) -> None:
        """Copy the newest keys and values of a prompt, (1, H, T, D), into a row of its length."""
        for index, layer in enumerate(kv_cache.layers):
            slots = self.shapes[index].num_slots(self.capacity)
            first = max(0, row.length - slots, row.length - layer.keys.shape[2])
            for mine, theirs in (
                (self.keys[index][row.index], layer.keys[0]),
                (self.values[index][row.index], layer.values[0]),
            ):
                newest = theirs[:, theirs.shape[1] + first - row.length :]  # (H, T, D)
                if row.length <= slots:
                    mine[:, first : row.length] = newest
                else:
                    at = torch.arange(first, row.length, device=mine.device) % slots
                    mine.index_copy_(1, at, newest.to(mine.dtype))
                mine[:, row.length :] = 0

    def _move(self, row: Row, index: int) -> None:
        for tensor in self.tensors:
            tensor[index] = tensor[row.index]
        self.lengths[index], self.mask[index] = self.lengths[row.index], self.mask[row.index]
        self.rows[index] = row
        row.index = index

    def _state(self) -> list[Tensor]:
        return [*self.tensors, self.lengths, self.mask]

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
