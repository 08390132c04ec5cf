"""The rows of one request at a time, for models whose caches ``KvRows`` cannot hold.

Knows nothing of queues: whoever admits must not let a second request in.
"""

from collections.abc import Iterable

import torch
from transformers import DynamicCache

from llava_custom.symbols import Symbols


class LoneRows:
    """The choices of one request: equally long, in transformers' own cache; see ``KvRows``.

    Attributes:
        order: The rows as a step reads them.
        bytes_per_token: Memory of one token of one row.
    """

    def __init__(self, bytes_per_token: int) -> None:
        self.order: list[int] = []
        self.bytes_per_token = bytes_per_token
        self._kv_cache: DynamicCache | None = None

    def num_bytes(self, rows: Iterable[int]) -> int:
        """Memory of some rows."""
        num_tokens = 0 if self._kv_cache is None else self._kv_cache.get_seq_length()
        return num_tokens * self.bytes_per_token * len(list(rows))

    def num_bytes_spared(self, rows: Iterable[int]) -> int:
        """None: each row holds all its tokens."""
        return 0

    def add(
        self,
        kv_cache: DynamicCache,
        *,
        num_rows: int = 1,
        room: int = 0,
        symbols: Symbols | None = None,
    ) -> list[int]:
        """Let the choices of a request join, which takes the cache over; there must be no other."""
        assert not self.order
        if num_rows > 1:
            kv_cache.batch_repeat_interleave(num_rows)
        self._kv_cache = kv_cache
        self.order = list(range(num_rows))
        return list(self.order)

    def remove(self, rows: Iterable[int]) -> None:
        """Let rows leave."""
        gone = set(rows)
        kept = [index for index, row in enumerate(self.order) if row not in gone]
        self.order = [self.order[index] for index in kept]
        if not kept:
            self._kv_cache = None
        elif gone and self._kv_cache is not None:
            self._kv_cache.batch_select_indices(torch.tensor(kept))

    def next_step(self) -> DynamicCache:
        """The cache; there must be rows."""
        assert self._kv_cache is not None
        return self._kv_cache

    def commit(self) -> None:
        """Nothing: a step that was taken is written. One that failed cannot be taken again."""
