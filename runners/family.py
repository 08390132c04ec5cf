"""What the engine asks of a model, whichever family it is of.

A family plans prompts from messages (cheap, no device), and computes on its device; it knows
nothing of requests, sampling or threads. All of it but ``plan`` runs on the device thread.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast

from contracts.chat import ChatMessage
from contracts.media import FramePolicy
from llava_custom import Embedded, Prompt, Visual
from llava_custom.encoding import Encoding, FeatureCache
from llava_custom.kv_rows import RowStep
from llava_custom.lean_reading import Stretch
from llava_custom.load_report import LoadReport


class ModelFamily(Protocol):
    """A loaded vision-language model."""

    device: torch.device
    context_length: int
    frame_policy: FramePolicy
    vocab_size: int
    kv_bytes_per_token: int
    report: LoadReport
    eos_token_ids: frozenset[int]
    knows_video: bool
    tokenizer: PreTrainedTokenizerFast

    def plan(self, messages: tuple[ChatMessage, ...]) -> Prompt:
        """Token ids and media in their places, with exact counts."""
        ...

    def encoding(self, visuals: Sequence[Visual], cache: FeatureCache) -> Encoding:
        """Begin to compute the visual tokens of pictures and clips, a bounded piece at a time."""
        ...

    def encode(self, visual: Visual, should_stop: Callable[[], bool]) -> Tensor:
        """Visual tokens, shape (T, D), of one picture or clip; raises ``Stopped`` when told to."""
        ...

    def embed(self, prompt: Prompt, blocks: Sequence[Tensor]) -> Embedded:
        """The prompt as the language model reads it, with a block for each of its media."""
        ...

    def blank_block(self, visual: Visual) -> Tensor:
        """Stands in the place of a visual's block where nobody reads."""
        ...

    def new_kv_cache(self) -> DynamicCache:
        """An empty cache of keys and values."""
        ...

    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Append a stretch of a prompt to the cache; float32 logits (1, V) after it."""
        ...

    @property
    def reads_together(self) -> bool:
        """Whether it has ``prefill_together``; else prompts are read one by one."""
        ...

    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        """Append stretches of different prompts to their caches; float32 logits (K, V)."""
        ...

    def prefill_packed(self, rests: Sequence[Embedded], kv_cache: DynamicCache) -> Tensor:
        """Read several continuations that do not see each other; float32 logits (K, V)."""
        ...

    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        """Append one token (B,), at its position (B,), to each row; float32 logits (B, V)."""
        ...
