"""A loaded checkpoint of any architecture: plan, encode, embed, prefill, decode step.

``plan`` may be called from any thread; everything else belongs to the thread that owns the device.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast

from contracts.chat import ChatMessage
from contracts.media import FramePolicy
from llava_custom import Embedded, Prompt, Visual
from llava_custom.encoding import Encoding, FeatureCache, NoFeatures, encode
from llava_custom.kv_rows import RowStep
from llava_custom.lean_reading import Stretch
from llava_custom.load_report import LoadReport
from llava_custom.vision_chunks import never
from runners.hub.chat_template import ChatTemplate
from runners.hub.chat_tokenizer import ChatTokenizer
from runners.hub.decoder import Decoder
from runners.hub.vision import Vision


class HubModel:
    """A ``ModelFamily``; its weights are never changed, caches belong to callers.

    Args:
        network: transformers' model, for whoever looks into it.
        tokenizer: transformers' fast tokenizer of the checkpoint.
        template: In Jinja.
        clip_template: For conversations with clips, where it is another one.
        vision: Shows pictures and clips.
        vision_chunk: Pictures it takes at once.
        decoder: Reads and answers.
        report: What was loaded.
    """

    def __init__(
        self,
        *,
        network: Any,  # noqa: ANN401 - transformers is untyped here
        tokenizer: PreTrainedTokenizerFast,
        template: str,
        clip_template: str | None,
        vision: Vision,
        vision_chunk: int,
        decoder: Decoder,
        report: LoadReport,
    ) -> None:
        self.network = network
        self.report = report
        self.tokenizer = tokenizer
        self.device = decoder.device
        self.context_length: int = decoder.config.max_position_embeddings
        self.frame_policy = FramePolicy(vision.num_frames, vision.size_wh)
        self.knows_video = vision.video_token is not None
        self.vocab_size: int = decoder.config.vocab_size
        self.kv_bytes_per_token = report.need.kv_bytes_per_token
        self.eos_token_ids = _eos_token_ids(network.generation_config, tokenizer)
        self._template = ChatTemplate(tokenizer, template, vision, clip_source=clip_template)
        self._chat_tokenizer = ChatTokenizer(tokenizer, template, vision.visual_token)
        self._vision = vision
        self._vision_chunk = vision_chunk
        self._decoder = decoder

    def plan(self, messages: Sequence[ChatMessage]) -> Prompt:
        """Tokenise a conversation and count its visual tokens; cheap, on CPU, no pixel touched."""
        return self._chat_tokenizer.tokenize(self._template.render(messages))

    def encoding(self, visuals: Sequence[Visual], cache: FeatureCache) -> Encoding:
        """Begin to compute the tokens of visuals; see ``ModelFamily``."""
        return Encoding(
            self._vision, visuals, cache, chunk_size=self._vision_chunk, device=self.device
        )

    def encode(self, visual: Visual, should_stop: Callable[[], bool] = never) -> Tensor:
        """The tokens of one visual, without a cache; see ``ModelFamily``."""
        (block,) = encode(self.encoding([visual], NoFeatures()), should_stop)
        return block

    @torch.inference_mode()
    def embed(self, prompt: Prompt, blocks: Sequence[Tensor]) -> Embedded:
        """The prompt as the language model reads it; see ``ModelFamily``."""
        return self._decoder.embed(prompt, blocks)

    def blank_block(self, visual: Visual) -> Tensor:
        """Stands in the place of a visual's block where nobody reads."""
        return self._decoder.blank_block(visual)

    def new_kv_cache(self) -> DynamicCache:
        """An empty cache of keys and values for one batch."""
        return self._decoder.new_kv_cache()

    @torch.inference_mode()
    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Read a stretch of a prompt; float32 logits (1, V) after it."""
        return self._decoder.prefill(embedded, kv_cache)

    @property
    def reads_together(self) -> bool:
        """Whether several prompts can be read in one pass."""
        return self._decoder.reads_together

    @torch.inference_mode()
    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        """Read stretches of different prompts; float32 logits (K, V) after each."""
        return self._decoder.prefill_together(stretches)

    @torch.inference_mode()
    def prefill_packed(self, rests: Sequence[Embedded], kv_cache: DynamicCache) -> Tensor:
        """Read several continuations that do not see each other; float32 logits (K, V)."""
        return self._decoder.prefill_packed(rests, kv_cache)

    @torch.inference_mode()
    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        """Read one token of each row; float32 logits (B, V)."""
        return self._decoder.decode_step(token_ids, positions, kv_cache)


def _eos_token_ids(generation_config: Any, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401
    """Tokens that end an answer, as for ``generate``; nothing else of that file is applied."""
    ids = generation_config.eos_token_id
    ids = tokenizer.eos_token_id if ids is None else ids
    return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])
