"""Keys and values of many running sequences, each as long as it is: one decode step for all.

Nothing is padded to the longest: rows of similar length lie together in a ``Slab``, attention is
computed slab by slab, everything else of a step for all rows at once. A token is written in place.
Belongs to the thread that owns the device.

A step reads its rows, in their ``order``, and writes one token of each; only ``commit`` makes
the token theirs. So a step that failed can be taken again. Letters: ``B`` rows, ``H`` heads of
queries, ``D`` width of a head.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from llava_custom.kv_slab import LayerShape, Row, Slab
from llava_custom.query_attention import attend

SLAB_TOKENS = 16_384  # that a slab of several rows may hold
LEAST_CAPACITY = 64


def has_known_layers(kv_cache: DynamicCache) -> bool:
    """Whether each layer keeps all tokens or the newest: what can be taken apart and joined."""
    return all(type(one) in (DynamicLayer, DynamicSlidingWindowLayer) for one in kv_cache.layers)


def capacity_for(num_tokens: int) -> int:
    """The smallest row for so many tokens: powers of two, and half-way between them."""
    capacity = LEAST_CAPACITY
    while capacity < num_tokens:
        capacity *= 2
    between = capacity // 4 * 3
    return between if between >= max(num_tokens, LEAST_CAPACITY) else capacity


class KvRows:
    """The rows of a batch, each known by a number of its own.

    Attributes:
        order: The rows as a step reads them; changes with ``add``, ``remove`` and ``next_step``.
    """

    def __init__(self) -> None:
        self.order: list[int] = []
        self._rows: dict[int, Row] = {}
        self._numbers = count()
        self._slabs: list[Slab] = []
        self._shapes: tuple[LayerShape, ...] = ()

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token of one row, without what is kept free; 0 before there was a row."""
        return sum(shape.bytes_per_token for shape in self._shapes)

    def num_bytes(self, rows: Iterable[int]) -> int:
        """Memory of some rows."""
        return sum(self._rows[row].slab.row_bytes for row in rows)

    def num_tokens(self, row: int) -> int:
        """How long a row is."""
        return self._rows[row].length

    def add(self, kv_cache: DynamicCache, *, num_rows: int = 1, room: int = 0) -> list[int]:
        """Let sequences with one prompt join.

        Args:
            kv_cache: Of the prompt, one row; not modified, and not needed any more.
            num_rows: How many go on from it.
            room: Tokens that each will probably write.
        """
        self._shapes = self._shapes or LayerShape.all_of(kv_cache)
        length = kv_cache.get_seq_length()
        added: list[int] = []
        try:
            for _ in range(num_rows):
                row = self._slab(capacity_for(length + room)).new_row(length)
                added.append(next(self._numbers))
                self._rows[added[-1]] = row
                row.slab.write(row, kv_cache)
        except BaseException:
            self.remove(added)
            raise
        self._sort()
        return added

    def remove(self, rows: Iterable[int]) -> None:
        """Let rows leave."""
        for number in rows:
            row = self._rows.pop(number)
            row.slab.remove(row)
        self._sort()

    def next_step(self) -> "RowStep":
        """A step in which every row writes one token; there must be rows."""
        full = [row for row in self._rows.values() if row.length == row.slab.capacity]
        try:
            for row in full:
                self._slab(capacity_for(row.length + 1)).take(row)
        finally:
            if full:
                self._sort()
        return RowStep(self._shapes, self._slabs)

    def commit(self) -> None:
        """Make the tokens of the step theirs."""
        for slab in self._slabs:
            slab.lengths[: len(slab.rows)] += 1
            for row in slab.rows:
                row.length += 1

    def _slab(self, capacity: int) -> Slab:
        """One with room for a row."""
        for slab in self._slabs:
            if slab.capacity == capacity and slab.has_room:
                return slab
        slab = Slab(capacity, self._shapes, max(1, SLAB_TOKENS // capacity))
        self._slabs.append(slab)
        return slab

    def _sort(self) -> None:
        self._slabs = [slab for slab in self._slabs if slab.rows]
        numbers = {id(row): number for number, row in self._rows.items()}
        self.order = [numbers[id(row)] for slab in self._slabs for row in slab.rows]


@dataclass(frozen=True, slots=True, eq=False)
class SlabStep:
    """The rows of one slab in a step.

    Attributes:
        slab: Whose rows they are.
        start: Index of the first one in the batch.
        stop: Behind the last one.
        num_seen: Tokens of the longest row, the new one included.
        is_even: Whether all rows are so long.
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

    def slots(self, num_heads: int, num_slots: int) -> Tensor:
        """Where new tokens go in a layer that keeps so many, over all rows and heads; (R * H,)."""
        num_rows, device = len(self.lengths), self.lengths.device
        firsts = torch.arange(num_rows * num_heads, device=device).view(num_rows, num_heads)
        at = self.lengths if num_slots == self.slab.capacity else self.lengths % num_slots
        return (firsts * num_slots + at[:, None]).flatten()


@dataclass(slots=True, eq=False)
class RowStep:
    """One token of every row; in the place of a transformers cache, whose methods it has.

    ``update`` gives a layer's ``LayerStep`` in the place of keys, and attention is computed by it:
    see ``row_attention``.
    """

    shapes: tuple[LayerShape, ...]
    slabs: Iterable[Slab]
    _parts: list[SlabStep] = field(default_factory=list, init=False)
    _slots: dict[tuple[int, LayerShape], Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        start = 0
        for slab in self.slabs:
            self._parts.append(SlabStep.of(slab, start))
            start = self._parts[-1].stop

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the longest row."""
        return max(part.num_seen for part in self._parts) - 1

    def update(
        self, keys: Tensor, values: Tensor, layer_idx: int, *_: object
    ) -> tuple["LayerStep", None]:
        """Write the new tokens' keys and values, (B, heads, 1, D), into a layer."""
        shape = self.shapes[layer_idx]
        for number, part in enumerate(self._parts):
            slots = self._slots_on(number, shape)
            held = (part.slab.keys[layer_idx], part.slab.values[layer_idx])
            for tensor, new in zip(held, (keys, values), strict=True):
                tokens = new[part.start : part.stop].reshape(-1, new.shape[-1])  # (rows * H, D)
                tensor.view(-1, new.shape[-1]).index_copy_(0, slots, tokens.to(tensor.dtype))
        return LayerStep(layer_idx, shape, self._parts), None

    def _slots_on(self, number: int, shape: LayerShape) -> Tensor:
        part = self._parts[number]
        key = (number, shape)
        if key not in self._slots:
            num_slots = shape.num_slots(part.slab.capacity)
            self._slots[key] = part.slots(shape.num_heads, num_slots).to(shape.device)
        return self._slots[key]


@dataclass(frozen=True, slots=True, eq=False)
class LayerStep:
    """A layer whose new tokens are written, ready to be asked."""

    layer_index: int
    shape: LayerShape
    parts: list[SlabStep]

    def attend(self, query: Tensor, scaling: float | None) -> Tensor:
        """What each row's query sees: (B, H, 1, D) -> (B, 1, H, D)."""
        seen = [self._attend(part, query[part.start : part.stop], scaling) for part in self.parts]
        return seen[0] if len(seen) == 1 else torch.cat(seen)

    def _attend(self, part: SlabStep, query: Tensor, scaling: float | None) -> Tensor:
        num_rows, num_heads, _, width = query.shape
        num_slots = self.shape.num_slots(part.slab.capacity)
        keys = part.slab.keys[self.layer_index][:num_rows]
        values = part.slab.values[self.layer_index][:num_rows]
        seen = attend(
            # Heads that share keys stand where else several tokens would: no key is copied.
            query.reshape(num_rows, self.shape.num_heads, -1, width).to(keys.dtype),
            keys,
            values,
            part.slab.mask[:num_rows, :num_slots].to(query.device),
            num_seen=part.num_seen,
            is_even=part.is_even,
            scaling=scaling,
        )
        return seen.reshape(num_rows, 1, num_heads, -1).to(query.dtype)
