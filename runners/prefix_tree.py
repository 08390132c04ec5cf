"""Beginnings of what was read, each kept once: a radix tree within a budget of bytes.

A node keeps something for a run of symbols behind its parent's. What was used longest ago goes
first, ends before beginnings. Pure: knows nothing of tensors; one thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from llava_custom.symbols import Symbols, num_common


class Stretch(Protocol):
    """What is kept for a run of symbols; owns its memory."""

    @property
    def num_bytes(self) -> int:
        """Its memory."""
        ...

    def split(self, at: int) -> tuple[Self, Self]:
        """What is kept for the first symbols, and for the others."""
        ...


Kept = TypeVar("Kept", bound=Stretch)


@dataclass(eq=False, slots=True)
class _Node(Generic[Kept]):
    symbols: Symbols
    stretch: Kept | None  # of the root alone: None
    parent: "_Node[Kept] | None"
    used: int = 0
    children: "dict[int, _Node[Kept]]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found(Generic[Kept]):
    """The beginning of a row of symbols.

    Attributes:
        num_symbols: How long it is.
        stretches: What is kept of it, in order; of the last one perhaps only a part belongs to it.
    """

    num_symbols: int
    stretches: tuple[Kept, ...]


class PrefixTree(Generic[Kept]):
    """Never holds more than ``max_bytes``, nor a symbol of a beginning twice.

    Args:
        max_bytes: Of all stretches; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.num_bytes = 0
        self._max_bytes = max_bytes
        self._clock = 0
        self._root = self._new_root()

    def find(self, symbols: Symbols) -> Found[Kept]:
        """The longest beginning that is kept."""
        self._clock += 1
        num_found, stretches = 0, list[Kept]()
        for node, num_alike in self._walk(symbols):
            node.used = self._clock
            assert node.stretch is not None
            stretches.append(node.stretch)
            num_found += num_alike
        return Found(num_found, tuple(stretches))

    def add(
        self, symbols: Symbols, bytes_per_symbol: int, make: Callable[[int, int], Kept]
    ) -> None:
        """Keep a row of symbols, or as much of its beginning as there is room for.

        Args:
            symbols: From the beginning.
            bytes_per_symbol: Memory of what ``make`` gives for one.
            make: What to keep for the symbols from one to before another.
        """
        self._clock += 1
        last, start = self._root, 0
        for node, num_alike in list(self._walk(symbols)):
            start += num_alike
            last = node if num_alike == len(node.symbols) else self._split(node, num_alike)
            last.used = self._clock
        held = self._path_bytes(last)
        num_new = min(len(symbols) - start, (self._max_bytes - held) // max(bytes_per_symbol, 1))
        if num_new <= 0:
            return
        self._make_room(num_new * bytes_per_symbol)
        stretch = make(start, start + num_new)
        self._insert(symbols[start : start + num_new], stretch, last)

    def clear(self) -> None:
        """Forget everything."""
        self._root = self._new_root()
        self.num_bytes = 0

    def _new_root(self) -> _Node[Kept]:
        return _Node(np.empty(0, np.int64), None, None)

    def _walk(self, symbols: Symbols) -> Iterator[tuple[_Node[Kept], int]]:
        """The nodes along a row, and how many symbols of each are the row's."""
        node, at = self._root, 0
        while at < len(symbols) and (child := node.children.get(int(symbols[at]))):
            num_alike = num_common(child.symbols, symbols[at:])
            yield child, num_alike
            if num_alike < len(child.symbols):
                return
            node, at = child, at + num_alike

    def _insert(self, symbols: Symbols, stretch: Kept, parent: _Node[Kept]) -> None:
        node = _Node(symbols.copy(), stretch, parent, self._clock)
        parent.children[int(symbols[0])] = node
        self.num_bytes += stretch.num_bytes

    def _split(self, node: _Node[Kept], at: int) -> _Node[Kept]:
        """Cut a node in two; the first of them."""
        assert node.stretch is not None
        assert node.parent is not None
        first, second = node.stretch.split(at)
        self.num_bytes += first.num_bytes + second.num_bytes - node.stretch.num_bytes
        upper = _Node(node.symbols[:at].copy(), first, node.parent, node.used)
        upper.children[int(node.symbols[at])] = node
        node.parent.children[int(node.symbols[0])] = upper
        node.symbols, node.stretch, node.parent = node.symbols[at:].copy(), second, upper
        return upper

    def _path_bytes(self, node: _Node[Kept]) -> int:
        total = 0
        while node.parent is not None:
            assert node.stretch is not None
            total += node.stretch.num_bytes
            node = node.parent
        return total

    def _make_room(self, num_bytes: int) -> None:
        """Drop ends that are not of the latest row, the longest unused first."""
        while self.num_bytes + num_bytes > self._max_bytes:
            oldest = min(self._ends(), key=lambda node: node.used)
            assert oldest.stretch is not None
            assert oldest.parent is not None
            self.num_bytes -= oldest.stretch.num_bytes
            del oldest.parent.children[int(oldest.symbols[0])]

    def _ends(self) -> Iterator[_Node[Kept]]:
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            nodes += node.children.values()
            if not node.children and node.used < self._clock:
                yield node
