"""transformers' decoders on a ``RowStep``: which attention they compute, and without a mask.

A decoder hands what its cache returns to the attention that its configuration names. While a step
runs, that is ours, which finds a ``LayerStep`` where keys would be. transformers makes no masks for
an attention that it has none for. Belongs to the thread that owns the device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from transformers import AttentionInterface

from llava_custom.kv_rows import RowStep
from llava_custom.layer_step import LayerStep

NAME = "lookout_rows"


def attend_rows(
    module: object,
    query: Tensor,
    key: LayerStep,
    value: None,
    attention_mask: None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: (B, H, 1, D) -> (B, 1, H, D), and no weights."""
    assert attention_mask is None
    assert softcap is None, "no family that is served has it"
    return key.attend(query, scaling), None


AttentionInterface.register(NAME, attend_rows)


@contextmanager
def reading(config: Any, kv_cache: object) -> Iterator[None]:  # noqa: ANN401 - untyped there
    """Let the decoder of this configuration read what the cache is for."""
    if not isinstance(kv_cache, RowStep):
        yield
        return
    usual = config._attn_implementation
    config._attn_implementation_internal = NAME
    try:
        yield
    finally:
        config._attn_implementation_internal = usual
