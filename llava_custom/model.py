"""LLaVA-Video, step by step: plan, encode, embed, prefill, decode step.

Knows nothing of requests, batches or sampling. ``plan`` may be called from any thread; everything
else belongs to the thread that owns the device. Letters: ``B`` batch, ``T`` tokens, ``D`` hidden
size, ``V`` vocabulary, ``I`` pictures, ``P`` patches of one.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage
from contracts.errors import RunnerError
from contracts.media import FramePolicy
from llava_custom.embedded import Embedded
from llava_custom.llava_video_blocks import image_block, pool_frames, video_block
from llava_custom.llava_video_chat import PromptTokenizer, render
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.preprocess import crops, to_pixel_values
from llava_custom.prompt import Prompt, Visual


class Stopped(Exception):
    """The caller of ``encode`` asked it to stop; nothing was returned."""


def never() -> bool:
    """Do not stop."""
    return False


class LlavaVideo:
    """A loaded checkpoint. The network's weights are never changed; caches belong to callers.

    Attributes:
        tokenizer: transformers' fast tokenizer of the checkpoint.
        device: Where the weights are.
        context_length: Tokens of prompt and answer together.
        frame_policy: How many frames of a clip by default, squashed to which size.
        hidden_size: Width ``D`` of an embedding.
        vocab_size: Width ``V`` of the logits; ids above the tokenizer's are padding.
        eos_token_ids: Tokens that end an answer.
    """

    def __init__(
        self,
        *,
        network: Any,  # noqa: ANN401 - transformers is untyped here
        tokenizer: Any,  # noqa: ANN401
        config: LlavaVideoConfig,
        eos_token_ids: frozenset[int],
        device: torch.device,
        vision_chunk: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.device = device
        self.context_length = config.context_length
        size_px = config.image_size_px
        self.frame_policy = FramePolicy(config.num_frames, size_wh=(size_px, size_px))
        self.hidden_size: int = network.config.text_config.hidden_size
        self.vocab_size: int = network.config.text_config.vocab_size
        self._config = config
        self._vision_chunk = vision_chunk
        self._prompt_tokenizer = PromptTokenizer(tokenizer)
        self.eos_token_ids = eos_token_ids | {self._prompt_tokenizer.turn_end_id}
        self._network = network
        self._vision_tower = network.model.vision_tower
        self._projector = network.model.multi_modal_projector
        self._language_model = network.model.language_model
        self._embed_tokens = network.model.language_model.embed_tokens
        self._newline: Tensor = network.model.image_newline

    def plan(self, messages: Sequence[ChatMessage]) -> Prompt:
        """Tokenise a conversation and count its visual tokens; cheap, on CPU, no pixel touched."""
        return self._prompt_tokenizer.tokenize(render(messages, self._config))

    @torch.inference_mode()
    def encode(self, visual: Visual, should_stop: Callable[[], bool] = never) -> Tensor:
        """Compute the tokens of one picture or clip.

        Args:
            visual: From a ``Prompt`` of this model.
            should_stop: Asked before every chunk of pictures.

        Returns:
            Shape (visual.num_tokens, D), on the device.

        Raises:
            Stopped: ``should_stop`` said so.
        """
        features = torch.cat(list(self._features(visual, should_stop)))
        if visual.kind == "video":
            block = video_block(features, self._newline, self._config.newline)
        else:
            block = image_block(features, self._newline, visual.tiling)
        if len(block) != visual.num_tokens:
            raise RunnerError(f"planned {visual.num_tokens} visual tokens, computed {len(block)}")
        return block

    def _features(self, visual: Visual, should_stop: Callable[[], bool]) -> Iterator[Tensor]:
        """Chunks of (I, P, D) for a picture, of pooled frames (I, h, w, D) for a clip."""
        pending = crops(visual)
        while chunk := list(islice(pending, self._vision_chunk)):
            if should_stop():
                raise Stopped
            pixel_values = to_pixel_values(chunk, size_px=self._config.image_size_px)
            features = self._projector(self._tower(pixel_values))
            is_clip = visual.kind == "video"
            yield pool_frames(features, self._config.pool_mode) if is_clip else features

    def _tower(self, pixel_values: Tensor) -> Tensor:
        """The vision tower's features: (I, 3, H, W) -> (I, P, width of the tower).

        The last of the checkpoint's layers, before the layer norm that follows it.
        """
        tower = self._vision_tower
        dtype = tower.embeddings.patch_embedding.weight.dtype
        patches = tower.embeddings(pixel_values.to(self.device, dtype))
        features: Tensor = tower.encoder(inputs_embeds=patches).last_hidden_state
        return features

    @torch.inference_mode()
    def embed(self, prompt: Prompt, blocks: Sequence[Tensor]) -> Embedded:
        """Put embedded text and visual blocks together.

        Args:
            prompt: From ``plan``.
            blocks: One per visual of the prompt, in order, as ``encode`` returned them.
        """
        expected = [(visual.num_tokens, self.hidden_size) for visual in prompt.visuals]
        if [tuple(block.shape) for block in blocks] != expected:
            got = [tuple(block.shape) for block in blocks]
            raise RunnerError(f"the prompt has visual blocks {expected}, got {got}")
        remaining = iter(blocks)
        parts = [
            next(remaining) if isinstance(segment, Visual) else self._embed_ids(segment)
            for segment in prompt.segments
        ]
        return Embedded.in_order(torch.cat(parts)[None])

    def _embed_ids(self, token_ids: tuple[int, ...]) -> Tensor:
        ids = torch.tensor(token_ids, dtype=torch.int64, device=self.device)
        embeds: Tensor = self._embed_tokens(ids)
        return embeds

    def new_kv_cache(self) -> DynamicCache:
        """An empty cache of keys and values for one batch."""
        return DynamicCache(config=self._network.config.text_config)

    @torch.inference_mode()
    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Read a prompt, or its next stretch.

        Args:
            embedded: T tokens that follow what the cache holds.
            kv_cache: Extended by T positions.

        Returns:
            float32 logits of the last position, shape (1, V).
        """
        return self.logits(self.hidden_states(embedded.inputs_embeds, kv_cache)[:, -1])

    @torch.inference_mode()
    def decode_step(self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache) -> Tensor:
        """Read one token of each sequence in a batch of equally long ones.

        Args:
            token_ids: int64, shape (B,), on the device.
            positions: Where each stands, likewise.
            kv_cache: Extended by one position.

        Returns:
            float32 logits, shape (B, V).
        """
        # Qwen2Model.forward without its mask and its decorators, which take a third of a small
        # model's step: one query sees every key, so there is nothing to mask.
        language = self._language_model
        hidden = language.embed_tokens(token_ids[:, None])  # (B, 1, D)
        rotary = language.rotary_emb(hidden, positions[:, None])
        for layer in language.layers:
            hidden = layer(
                hidden, position_embeddings=rotary, past_key_values=kv_cache, use_cache=True
            )
        return self.logits(language.norm(hidden)[:, -1])

    @torch.inference_mode()
    def hidden_states(self, inputs_embeds: Tensor, kv_cache: DynamicCache) -> Tensor:
        """The language model's output at every position: (B, T, D) -> (B, T, D)."""
        hidden: Tensor = self._language_model(
            inputs_embeds=inputs_embeds, past_key_values=kv_cache, use_cache=True
        ).last_hidden_state
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """float32 scores of the next token: (..., D) -> (..., V)."""
        scores: Tensor = self._network.lm_head(hidden)
        return scores.float()
