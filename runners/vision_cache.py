"""Features of pictures that were seen before, within a budget of bytes; the oldest use goes first.

Used on the device thread, where the features lie; ``stats`` from any thread.
"""

from collections import OrderedDict
from collections.abc import Hashable

from torch import Tensor

from contracts.engine_stats import CacheStats


class VisionCache:
    """Holds at most ``max_bytes`` of features, whoever asked for them.

    Args:
        max_bytes: Of the features' memory; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int = 0) -> None:
        self._max_bytes = max_bytes
        self._features: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._num_bytes = self._num_hits = self._num_misses = 0

    def get(self, key: Hashable) -> Tensor | None:
        """The features of a view, if they are here; whoever gets them must not write to them."""
        features = self._features.get(key)
        if features is None:
            self._num_misses += 1
            return None
        self._num_hits += 1
        self._features.move_to_end(key)
        return features

    def put(self, key: Hashable, features: Tensor) -> None:
        """Keep a copy; what was used longest ago makes room for it."""
        if features.nbytes > self._max_bytes or key in self._features:
            return
        while self._num_bytes + features.nbytes > self._max_bytes:
            _, oldest = self._features.popitem(last=False)
            self._num_bytes -= oldest.nbytes
        # A chunk's features share one piece of memory, which would live as long as any of them.
        self._features[key] = features.clone()
        self._num_bytes += features.nbytes

    def clear(self) -> None:
        """Forget everything: the memory is needed elsewhere."""
        self._features.clear()
        self._num_bytes = 0

    @property
    def stats(self) -> CacheStats:
        """Views found and not found, and the bytes that are held."""
        return CacheStats(self._num_hits, self._num_misses, self._num_bytes)
