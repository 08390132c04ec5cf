"""Keys and values of prompts that were read, for prompts that begin in the same way.

Used on the device thread; ``stats`` from any thread. Tensors of transformers' growing caches are
never written to, so what is kept may be what somebody still reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.engine_stats import CacheStats
from llava_custom import Prompt, Visual
from llava_custom.kv_rows import has_known_layers
from llava_custom.symbols import num_common, symbols_of
from runners.prefix_tree import Found, PrefixTree

LEAST_TOKENS = 16  # fewer are read again sooner than put together


@dataclass(frozen=True, slots=True, eq=False)
class KvStretch:
    """Keys and values of consecutive tokens.

    Attributes:
        layers: Of each layer its keys and its values, (1, heads, T, width).
    """

    layers: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, kv_cache: DynamicCache, start: int, stop: int) -> Self:
        """The tokens from one to before another; copied, but for a whole cache."""
        stretches = [
            tuple(_own(held[:, :, start:stop]) for held in (layer.keys, layer.values))
            for layer in kv_cache.layers
        ]
        return cls(tuple((keys, values) for keys, values in stretches))

    @property
    def num_bytes(self) -> int:
        """Memory of all layers."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    def split(self, at: int) -> tuple[Self, Self]:
        """The first tokens, and the others."""
        first, second = (
            type(self)(
                tuple(
                    (_own(keys[:, :, part]), _own(values[:, :, part]))
                    for keys, values in self.layers
                )
            )
            for part in (slice(None, at), slice(at, None))
        )
        return first, second


class PrefixCache:
    """Holds at most ``max_bytes`` of keys and values.

    Args:
        max_bytes: 0 keeps nothing.
    """

    def __init__(self, max_bytes: int = 0) -> None:
        self._tree: PrefixTree[KvStretch] = PrefixTree(max_bytes)
        self._is_on = max_bytes > 0
        self._num_hits = self._num_misses = 0

    def fill(self, prompt: Prompt, kv_cache: DynamicCache, most_tokens: int) -> int:
        """Put the longest beginning that is known into an empty cache.

        Args:
            prompt: To be read.
            kv_cache: Of the model.
            most_tokens: How many of its tokens the cache may have then.

        Returns:
            How many tokens the cache has now; they end before or behind a visual, not within.
        """
        if not self._is_on or not has_known_layers(kv_cache):
            return 0
        found = self._tree.find(symbols_of(prompt)[:most_tokens])
        num_tokens = min(found.num_symbols, _most_tokens(kv_cache))
        num_tokens = _before_visual(prompt, num_tokens)
        if num_tokens < LEAST_TOKENS:
            self._num_misses += 1
            return 0
        self._num_hits += 1
        _restore(found, num_tokens, kv_cache)
        return num_tokens

    def num_gained(self, prompt: Prompt, others: Iterable[Prompt]) -> int:
        """How many more tokens of a prompt would be known if others had been read and kept."""
        if not self._is_on:
            return 0
        symbols = symbols_of(prompt)
        shared = max((num_common(symbols, symbols_of(other)) for other in others), default=0)
        return max(0, shared - self._tree.find(symbols).num_symbols) if shared else 0

    def keep(self, prompt: Prompt, kv_cache: DynamicCache, num_tokens: int | None = None) -> None:
        """Keep what was read of a prompt.

        Args:
            prompt: Whose.
            kv_cache: Of its tokens, one row; of any number from ``num_tokens`` on.
            num_tokens: How many of them are worth it; all by default.
        """
        num_read = kv_cache.get_seq_length()
        if not self._is_on or not has_known_layers(kv_cache) or not _holds_all(kv_cache, num_read):
            return
        symbols = symbols_of(prompt)[: num_read if num_tokens is None else num_tokens]
        if len(symbols) < LEAST_TOKENS:
            return
        num_bytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in kv_cache.layers)
        self._tree.add(
            symbols, num_bytes // num_read, lambda start, stop: KvStretch.of(kv_cache, start, stop)
        )

    def clear(self) -> None:
        """Forget everything: the memory is needed elsewhere."""
        self._tree.clear()

    @property
    def stats(self) -> CacheStats:
        """Prompts of which a beginning was found, those without, and the bytes that are held."""
        return CacheStats(self._num_hits, self._num_misses, self._tree.num_bytes)


def _before_visual(prompt: Prompt, num_tokens: int) -> int:
    """So many tokens, or fewer, so that no visual is cut."""
    at = 0
    for segment in prompt.segments:
        length = segment.num_tokens if isinstance(segment, Visual) else len(segment)
        if at + length > num_tokens:
            return at if isinstance(segment, Visual) else num_tokens
        at += length
    return num_tokens


def _most_tokens(kv_cache: DynamicCache) -> int:
    """Of how many tokens every layer holds all."""
    windows = [layer.sliding_window for layer in kv_cache.layers if layer.is_sliding]
    return min(windows) - 1 if windows else 1 << 60


def _holds_all(kv_cache: DynamicCache, num_read: int) -> bool:
    return all(layer.keys.shape[-2] == num_read for layer in kv_cache.layers)


def _restore(found: Found[KvStretch], num_tokens: int, kv_cache: DynamicCache) -> None:
    for index, layer in enumerate(kv_cache.layers):
        pairs = [stretch.layers[index] for stretch in found.stretches]
        keys, values = (_joined([pair[side] for pair in pairs], num_tokens) for side in (0, 1))
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        if layer.is_sliding:
            layer.cumulative_length = num_tokens


def _joined(parts: Sequence[Tensor], num_tokens: int) -> Tensor:
    whole = parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=2)
    return whole[:, :, :num_tokens]


def _own(part: Tensor) -> Tensor:
    """The part itself where it is all of its memory, else a copy."""
    return part if part.nbytes == part.untyped_storage().nbytes() else part.clone()
