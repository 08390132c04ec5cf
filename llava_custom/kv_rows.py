"""Keys and values of many running sequences, each as long as it is: one decode step for all.

Nothing is padded to the longest: rows of similar length lie together in a ``Slab``, attention is
computed slab by slab, everything else of a step for all rows at once. A token is written in place.
Rows whose prompts begin alike share that, see ``SharedBeginning``, as soon as there are two.
Belongs to the thread that owns the device.

A step reads its rows, in their ``order``, and writes one token of each; only ``commit`` makes
the token theirs. So a step that failed can be taken again. Letters: ``B`` rows, ``D`` width of
a head.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from llava_custom.kv_slab import LayerShape, Row, Slab
from llava_custom.layer_step import LayerStep, Sharing, SlabStep
from llava_custom.shared_beginning import LEAST_SHARED, SharedBeginning, num_sharable
from llava_custom.symbols import Symbols, num_common

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
        """Memory of some rows; what several share is parted among them."""
        return sum(self._rows[row].num_bytes for row in rows)

    def num_bytes_spared(self, rows: Iterable[int]) -> int:
        """Memory that some rows would need besides, if they shared nothing."""
        return sum(self._rows[row].num_bytes_spared for row in rows)

    def num_tokens(self, row: int) -> int:
        """How long a row is."""
        return self._rows[row].num_tokens

    def add(
        self,
        kv_cache: DynamicCache,
        *,
        num_rows: int = 1,
        room: int = 0,
        symbols: Symbols | None = None,
    ) -> list[int]:
        """Let sequences with one prompt join.

        Args:
            kv_cache: Of the prompt, one row; not modified, and not needed any more.
            num_rows: How many go on from it.
            room: Tokens that each will probably write.
            symbols: What tells the prompt's tokens apart; by default it shares none with others.
        """
        self._shapes = self._shapes or LayerShape.all_of(kv_cache)
        length = kv_cache.get_seq_length()
        added: list[int] = []
        try:
            for _ in range(num_rows):
                beginning = None if symbols is None else self._beginning(symbols[:length])
                num_own = length - (beginning.num_tokens if beginning else 0)
                row = self._slab(capacity_for(num_own + room)).new_row(num_own)
                row.symbols = symbols
                row.begin_with(beginning)
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
            row.begin_with(None)
            row.slab.remove(row)
        self._sort()

    def next_step(self) -> "RowStep":
        """A step in which every row writes one token; there must be rows."""
        full = [row for row in self._rows.values() if row.length == row.slab.capacity]
        try:
            for row in full:
                self._move(row, row.beginning)
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

    def _beginning(self, symbols: Symbols) -> SharedBeginning | None:
        """What the next row can share with a row that runs, which may have to make it."""
        partner, num_tokens = self._partner(symbols)
        if partner is None:
            return None
        longer = partner.beginning
        if longer is None or longer.num_tokens < num_tokens:
            self._move(partner, partner.first(num_tokens))
        elif longer.num_tokens > num_tokens:
            shorter = longer.shorter(num_tokens)
            for row in self._rows.values():
                if row.beginning is longer:
                    self._move(row, shorter)
        return partner.beginning

    def _partner(self, symbols: Symbols) -> tuple[Row | None, int]:
        """The row with which that can share most tokens, and how many."""
        partner, most = None, LEAST_SHARED - 1
        if not all(shape.can_share for shape in self._shapes):
            return None, 0
        for row in self._rows.values():
            if row.symbols is not None:
                num_tokens = num_sharable(row.beginning, num_common(row.symbols, symbols))
                if num_tokens > most:
                    partner, most = row, num_tokens
        return partner, most

    def _move(self, row: Row, beginning: SharedBeginning | None) -> None:
        """To where it has room for a token behind that beginning."""
        num_own = row.num_tokens - (beginning.num_tokens if beginning else 0)
        self._slab(capacity_for(num_own + 1)).take(row, beginning)

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


@dataclass(slots=True, eq=False)
class RowStep:
    """One token of every row; in the place of a transformers cache, whose methods it has.

    ``update`` gives a layer's ``LayerStep`` in the place of keys, and attention is computed by it:
    see ``row_attention``.
    """

    shapes: tuple[LayerShape, ...]
    slabs: Iterable[Slab]
    _parts: list[SlabStep] = field(default_factory=list, init=False)
    _sharings: list[Sharing] = field(init=False)
    _slots: dict[tuple[int, LayerShape], Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        start = 0
        for slab in self.slabs:
            self._parts.append(SlabStep.of(slab, start))
            start = self._parts[-1].stop
        self._sharings = Sharing.all_of(self._rows)

    @property
    def _rows(self) -> list[Row]:
        return [row for part in self._parts for row in part.slab.rows]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the longest row."""
        return max(row.num_tokens for row in self._rows)

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
        return LayerStep(layer_idx, shape, self._parts, self._sharings), None

    def _slots_on(self, number: int, shape: LayerShape) -> Tensor:
        part = self._parts[number]
        key = (number, shape)
        if key not in self._slots:
            num_slots = shape.num_slots(part.slab.capacity)
            self._slots[key] = part.slots(shape.num_heads, num_slots).to(shape.device)
        return self._slots[key]
