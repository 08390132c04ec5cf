"""The language model of a checkpoint: embeddings in, logits out; callers keep the caches.

Letters: ``B`` batch, ``T`` tokens, ``D`` hidden size, ``V`` vocabulary.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from llava_custom import Embedded, Prompt, Visual
from llava_custom.kv_rows import RowStep
from llava_custom.lean_layers import LeanLayers
from llava_custom.lean_reading import Stretch, can_read, read
from llava_custom.packing import last_indices, masked_attention, pack, packed_masks
from llava_custom.placement import input_device
from llava_custom.row_attention import reading
from llava_custom.step_proof import Recording, record_steps


class Decoder:
    """A decoder of transformers whose tokens stand one after the other, and its head.

    Args:
        network: With ``lm_head``.
        decoder: The part of it that reads embeddings.

    Attributes:
        recording: Of decode steps, as CUDA graphs.
    """

    def __init__(self, network: Any, decoder: Any) -> None:  # noqa: ANN401 - transformers is untyped
        self._decoder = decoder
        self._lean_layers = LeanLayers.of(decoder)
        self.recording = Recording(None, problem="nobody asked for them")
        self._head = network.lm_head
        self.config = decoder.config
        self.device = input_device(decoder.embed_tokens)

    def embed(self, prompt: Prompt, blocks: Iterable[Tensor]) -> Embedded:
        """Put embedded text and the visuals' blocks together."""
        remaining = iter(blocks)
        parts = [
            next(remaining).to(self.device)
            if isinstance(segment, Visual)
            else self.embed_ids(segment)
            for segment in prompt.segments
        ]
        return Embedded.in_order(torch.cat(parts)[None])

    def embed_ids(self, token_ids: tuple[int, ...]) -> Tensor:
        """Embeddings (T, D) of tokens."""
        ids = torch.tensor(token_ids, dtype=torch.int64, device=self.device)
        embeds: Tensor = self._decoder.embed_tokens(ids)
        return embeds

    def blank_block(self, visual: Visual) -> Tensor:
        """Stands where nobody reads, in the place of a visual's tokens; takes no memory."""
        blank = self.embed_ids((0,)).new_zeros(1, 1)
        return blank.expand(visual.num_tokens, self.block_width)

    @property
    def block_width(self) -> int:
        """Numbers of a visual's token."""
        width: int = self.config.hidden_size
        return width

    def new_kv_cache(self) -> DynamicCache:
        """An empty cache of keys and values for one batch."""
        return DynamicCache(config=self.config)

    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Read a stretch of a prompt; float32 logits (1, V) after it."""
        if self.reads_together:
            return self.prefill_together([Stretch(embedded, kv_cache)])
        arguments = self.arguments(embedded, kv_cache)
        hidden = self._read(
            embedded.inputs_embeds, embedded.positions[:, None], kv_cache, arguments
        )
        return self._logits(hidden[:, -1])

    @property
    def reads_together(self) -> bool:
        """Whether several prompts can be read in one pass."""
        return can_read(self._lean_layers, self.config)

    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        """Read stretches of different prompts in one pass; float32 logits (K, V) after each."""
        assert self._lean_layers is not None
        return self._logits(read(self._lean_layers, stretches))

    def prefill_packed(self, rests: Sequence[Embedded], kv_cache: DynamicCache) -> Tensor:
        """Read continuations of text that do not see each other; float32 logits (K, V)."""
        packed = pack(rests)
        masks = packed_masks(rests, kv_cache, self.device)
        with masked_attention(self.config):
            hidden = self._read(
                packed.inputs_embeds,
                packed.positions[:, None],
                kv_cache,
                {"attention_mask": masks},
            )
        return self._logits(hidden[0, last_indices(rests)])

    def record_steps(self, max_rows: int) -> None:
        """Record decode steps of up to so many rows, where that can be and pays; 0: none."""
        self.recording = record_steps(self._lean_layers, max_rows, self.device)

    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        """Read one token (B,) at its position (B,) in each row; float32 logits (B, V)."""
        if isinstance(kv_cache, RowStep) and self._lean_layers:
            lean_step = self.recording.graphs or self._lean_layers
            return self._logits(lean_step(token_ids, positions, kv_cache))
        embeds = self._decoder.embed_tokens(token_ids[:, None])
        with reading(self.config, kv_cache):
            return self._logits(self._read(embeds, positions[None, :, None], kv_cache, {})[:, -1])

    def arguments(self, embedded: Embedded, kv_cache: DynamicCache) -> Mapping[str, Any]:
        """What the decoder takes beside embeddings and positions."""
        return {}

    def position_ids(self, positions: Tensor) -> Tensor:
        """Positions (A, B, T) as the decoder takes them."""
        return positions[0]

    def _read(
        self,
        inputs_embeds: Tensor,
        positions: Tensor,
        kv_cache: DynamicCache | RowStep,
        arguments: Mapping[str, Any],
    ) -> Tensor:
        """The decoder's output, (B, T, D)."""
        hidden: Tensor = self._decoder(
            inputs_embeds=inputs_embeds,
            position_ids=self.position_ids(positions.to(self.device)),
            past_key_values=kv_cache,
            use_cache=True,
            **arguments,
        ).last_hidden_state
        return hidden

    def _logits(self, hidden: Tensor) -> Tensor:
        scores: Tensor = self._head(hidden)
        return scores.float()
