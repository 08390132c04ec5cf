"""Caches of keys and values that go their own way from what they share."""

import copy

from transformers import DynamicCache


def fork(kv_cache: DynamicCache) -> DynamicCache:
    """A cache that goes its own way from here.

    Growing layers put longer tensors in the place of theirs and never write into them, so the
    tensors themselves are shared.
    """
    forked = copy.copy(kv_cache)
    forked.layers = [copy.copy(layer) for layer in kv_cache.layers]
    return forked
