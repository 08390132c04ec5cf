"""The language model of a family: embeddings in, logits out, keys and values kept by the caller.

Works on transformers' decoders of the Llama kind (Llama, Qwen2), whichever family they came with.
Knows nothing of pictures. Letters: ``B`` batch, ``T`` tokens, ``D`` hidden size, ``V`` vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.errors import RunnerError
from llava_custom.embedded import Embedded
from llava_custom.kv_rows import RowStep
from llava_custom.lean_layers import LeanLayers
from llava_custom.lean_reading import Stretch, can_read, read
from llava_custom.memory import kv_bytes_per_token
from llava_custom.packing import last_indices, masked_attention, pack, packed_masks
from llava_custom.placement import input_device
from llava_custom.prompt import Prompt, Visual
from llava_custom.row_attention import reading
from llava_custom.step_proof import Recording, record_steps


class LanguageModel:
    """A decoder and its head; never changes their weights.

    Attributes:
        device: Where embeddings and token ids go.
        hidden_size: Width ``D`` of an embedding.
        vocab_size: Width ``V`` of the logits; ids above the tokenizer's are padding.
        kv_bytes_per_token: Memory of the keys and values of one token.
        recording: Of decode steps, as CUDA graphs.
    """

    def __init__(self, decoder: Any, head: Any) -> None:  # noqa: ANN401 - transformers is untyped
        self._decoder = decoder
        self._lean_layers = LeanLayers.of(decoder)
        self.recording = Recording(None, problem="nobody asked for them")
        self._head = head
        self.device = input_device(decoder.embed_tokens)
        self.hidden_size: int = decoder.config.hidden_size
        self.vocab_size: int = decoder.config.vocab_size
        self.kv_bytes_per_token = kv_bytes_per_token(
            decoder.config, decoder.embed_tokens.weight.dtype
        )

    @torch.inference_mode()
    def embed(self, prompt: Prompt, blocks: Sequence[Tensor]) -> Embedded:
        """Put embedded text and visual blocks together, one token after the other."""
        expected = [(visual.num_tokens, self.hidden_size) for visual in prompt.visuals]
        if [tuple(block.shape) for block in blocks] != expected:
            got = [tuple(block.shape) for block in blocks]
            raise RunnerError(f"the prompt has visual blocks {expected}, got {got}")
        remaining = iter(blocks)
        parts = [
            next(remaining).to(self.device)
            if isinstance(segment, Visual)
            else self._embed_ids(segment)
            for segment in prompt.segments
        ]
        return Embedded.in_order(torch.cat(parts)[None])

    def blank_block(self, visual: Visual) -> Tensor:
        """Stands where nobody reads, in the place of a visual's tokens; takes no memory."""
        weight: Tensor = self._decoder.embed_tokens.weight
        blank = torch.zeros(1, 1, dtype=weight.dtype, device=self.device)
        return blank.expand(visual.num_tokens, self.hidden_size)

    def _embed_ids(self, token_ids: tuple[int, ...]) -> Tensor:
        ids = torch.tensor(token_ids, dtype=torch.int64, device=self.device)
        embeds: Tensor = self._decoder.embed_tokens(ids)
        return embeds

    def new_kv_cache(self) -> DynamicCache:
        """An empty cache of keys and values for one batch."""
        return DynamicCache(config=self._decoder.config)

    @torch.inference_mode()
    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Read a stretch of a prompt; float32 logits (B, V) of its last position."""
        if self.reads_together and len(embedded.inputs_embeds) == 1:
            return self.prefill_together([Stretch(embedded, kv_cache)])
        return self.logits(self.hidden_states(embedded.inputs_embeds, kv_cache)[:, -1])

    @property
    def reads_together(self) -> bool:
        """Whether several prompts can be read in one pass."""
        return can_read(self._lean_layers, self._decoder.config)

    @torch.inference_mode()
    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        """Read stretches of different prompts in one pass; float32 logits (K, V) after each."""
        assert self._lean_layers is not None
        return self.logits(read(self._lean_layers, stretches))

    @torch.inference_mode()
    def prefill_packed(self, rests: Sequence[Embedded], kv_cache: DynamicCache) -> Tensor:
        """Read continuations that do not see each other; float32 logits (K, V) after each."""
        packed = pack(rests)
        with masked_attention(self._decoder.config):
            hidden = self._decoder(
                inputs_embeds=packed.inputs_embeds,
                attention_mask=packed_masks(rests, kv_cache, self.device),
                position_ids=packed.positions.to(self.device),
                past_key_values=kv_cache,
                use_cache=True,
            ).last_hidden_state
        return self.logits(hidden[0, last_indices(rests)])

    def record_steps(self, max_rows: int) -> None:
        """Record decode steps of up to so many rows, where that can be and pays; 0: none."""
        self.recording = record_steps(self._lean_layers, max_rows, self.device)

    @torch.inference_mode()
    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        """Read one token (B,), at its position (B,), of each sequence; float32 logits (B, V)."""
        if isinstance(kv_cache, RowStep) and self._lean_layers:
            lean_step = self.recording.graphs or self._lean_layers
            return self.logits(lean_step(token_ids, positions, kv_cache))
        # The decoder's forward without its mask and its decorators, which take a third of a small
        # model's step: one query sees every key, so there is nothing to mask.
        decoder = self._decoder
        hidden = decoder.embed_tokens(token_ids[:, None])  # (B, 1, D)
        rotary = decoder.rotary_emb(hidden, positions[:, None])
        with reading(decoder.config, kv_cache):
            for layer in decoder.layers:
                hidden = layer(
                    hidden, position_embeddings=rotary, past_key_values=kv_cache, use_cache=True
                )
        return self.logits(decoder.norm(hidden)[:, -1])

    @torch.inference_mode()
    def hidden_states(self, inputs_embeds: Tensor, kv_cache: DynamicCache) -> Tensor:
        """The decoder's output at every position: (B, T, D) -> (B, T, D)."""
        hidden: Tensor = self._decoder(
            inputs_embeds=inputs_embeds, past_key_values=kv_cache, use_cache=True
        ).last_hidden_state
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """float32 scores of the next token: (..., D) -> (..., V)."""
        scores: Tensor = self._head(hidden)
        return scores.float()
