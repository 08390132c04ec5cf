"""A loaded checkpoint of any family, step by step: plan, encode, embed, prefill, decode step.

The families differ in the parts they are made of. Knows nothing of requests, batches or sampling.
``plan`` may be called from any thread; everything else belongs to the thread that owns the device.
Letters: ``B`` batch, ``T`` tokens, ``D`` hidden size, ``V`` vocabulary.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage
from contracts.media import FramePolicy
from llava_custom.embedded import Embedded
from llava_custom.encoding import Encoding, FeatureCache, NoFeatures, encode
from llava_custom.kv_rows import RowStep
from llava_custom.language_model import LanguageModel
from llava_custom.lean_reading import Stretch
from llava_custom.load_report import LoadReport
from llava_custom.prompt import Prompt, Visual
from llava_custom.prompt_tokenizer import Piece, PromptTokenizer
from llava_custom.views import Eyes
from llava_custom.vision_chunks import never


class VisionLanguageModel:
    """A loaded checkpoint. Its weights are never changed; caches belong to callers.

    Args:
        render: The family's template: a conversation to pieces of a prompt.
        prompt_tokenizer: Turns pieces into token ids.
        eyes: Turn pictures into tokens.
        vision_chunk: Pictures they take at once.
        language: Turns tokens into logits.
        tokenizer: transformers' fast tokenizer of the checkpoint.
        context_length: Tokens of prompt and answer together.
        frame_policy: How many frames of a clip by default, squashed to which size.
        eos_token_ids: Tokens that end an answer.
        network: Every module that has weights, for whoever counts them.
        report: What was loaded.

    Attributes:
        device: Where the weights are.
        vocab_size: Width ``V`` of the logits; ids above the tokenizer's are padding.
        kv_bytes_per_token: Memory of the keys and values of one token.
        knows_video: Whether it was trained on clips.
    """

    def __init__(
        self,
        *,
        render: Callable[[Sequence[ChatMessage]], Iterable[Piece]],
        prompt_tokenizer: PromptTokenizer,
        eyes: Eyes,
        vision_chunk: int,
        language: LanguageModel,
        tokenizer: Any,  # noqa: ANN401 - transformers is untyped here
        context_length: int,
        frame_policy: FramePolicy,
        eos_token_ids: frozenset[int],
        network: Any,  # noqa: ANN401
        report: LoadReport,
    ) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length
        self.frame_policy = frame_policy
        self.knows_video = True
        self.eos_token_ids = eos_token_ids
        self.network = network
        self.report = report
        self.prompt_tokenizer = prompt_tokenizer
        self.language = language
        self.device = language.device
        self.vocab_size = language.vocab_size
        self.kv_bytes_per_token = language.kv_bytes_per_token
        self._render = render
        self._eyes = eyes
        self._vision_chunk = vision_chunk

    def plan(self, messages: Sequence[ChatMessage]) -> Prompt:
        """Tokenise a conversation and count its visual tokens; cheap, on CPU, no pixel touched."""
        return self.prompt_tokenizer.tokenize(self._render(messages))

    def encoding(self, visuals: Sequence[Visual], cache: FeatureCache) -> Encoding:
        """Begin to compute the tokens of pictures and clips.

        Args:
            visuals: From a ``Prompt`` of this model.
            cache: Of features of this model; what is in it is not computed again.
        """
        return Encoding(
            self._eyes, visuals, cache, chunk_size=self._vision_chunk, device=self.device
        )

    def encode(self, visual: Visual, should_stop: Callable[[], bool] = never) -> Tensor:
        """Compute the tokens of one picture or clip, without a cache.

        Args:
            visual: From a ``Prompt`` of this model.
            should_stop: Asked before every chunk of pictures.

        Returns:
            Shape (visual.num_tokens, D), on the device.

        Raises:
            Stopped: ``should_stop`` said so.
            OutOfMemory: The pictures do not fit on the device, also in chunks of half the size.
        """
        (block,) = encode(self.encoding([visual], NoFeatures()), should_stop)
        return block

    def embed(self, prompt: Prompt, blocks: Sequence[Tensor]) -> Embedded:
        """Put embedded text and visual blocks together.

        Args:
            prompt: From ``plan``.
            blocks: One per visual of the prompt, in order, as ``encode`` returned them.
        """
        return self.language.embed(prompt, blocks)

    def blank_block(self, visual: Visual) -> Tensor:
        """A block for a visual whose tokens are not read, since a cache has them."""
        return self.language.blank_block(visual)

    def new_kv_cache(self) -> DynamicCache:
        """An empty cache of keys and values for one batch."""
        return self.language.new_kv_cache()

    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Read a prompt, or its next stretch.

        Args:
            embedded: T tokens that follow what the cache holds.
            kv_cache: Extended by T positions.

        Returns:
            float32 logits of the last position, shape (1, V).
        """
        return self.language.prefill(embedded, kv_cache)

    @property
    def reads_together(self) -> bool:
        """Whether several prompts can be read in one pass."""
        return self.language.reads_together

    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        """Read stretches of different prompts in one pass.

        Args:
            stretches: Each extends a cache of its own; only where ``reads_together``.

        Returns:
            float32 logits after each, shape (K, V).
        """
        return self.language.prefill_together(stretches)

    def prefill_packed(self, rests: Sequence[Embedded], kv_cache: DynamicCache) -> Tensor:
        """Read several continuations of what the cache holds, none of which sees another.

        Args:
            rests: Text, each of at least one token.
            kv_cache: Extended by all of them; of no use any more.

        Returns:
            float32 logits after each, shape (K, V).
        """
        return self.language.prefill_packed(rests, kv_cache)

    def decode_step(
        self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
    ) -> Tensor:
        """Read one token of each sequence in a batch.

        Args:
            token_ids: int64, shape (B,), on the device.
            positions: Where each stands, likewise.
            kv_cache: A step of rows, or a cache of equally long ones, extended by one position.

        Returns:
            float32 logits, shape (B, V).
        """
        return self.language.decode_step(token_ids, positions, kv_cache)
