"""Which architectures there are, and the parts each is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import transformers
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from runners.hub.checkpoint import Loaded
from runners.hub.decoder import Decoder
from runners.hub.deepstack import DeepstackDecoder
from runners.hub.gemma3 import Gemma3Decoder, Gemma3Vision
from runners.hub.llava import LlavaVision
from runners.hub.llava_next_video import NextVideoVision
from runners.hub.llava_onevision import OnevisionVision
from runners.hub.mrope import MropeDecoder
from runners.hub.qwen3_vl import Qwen3Vision
from runners.hub.qwen_vl import QwenVision
from runners.hub.smolvlm import SmolVision
from runners.hub.vision import Vision

# The conversation LLaVA-1.5 was trained on; early conversions come without a template.
VICUNA = (
    "{% for message in messages %}"
    "{{ {'system': '', 'user': 'USER: ', 'assistant': 'ASSISTANT: '}[message['role']] }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'video' %}{{ '<video>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{{ eos_token if message['role'] == 'assistant' else ' ' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
LLAVA_KEPT = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
QWEN_KEPT = ("model.visual", "lm_head")


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a checkpoint of one architecture is put together.

    Attributes:
        network: Name of transformers' class, as config.json has it.
        vision: Its eyes, around a loaded network.
        kept_modules: Parts that are never quantised.
        decoder: How its language model is called.
        decoder_name: The part of ``network.model`` that is the language model.
        default_template: For checkpoints without one.
        clip_template: For conversations with clips, where it is not the checkpoint's.
        masks_pictures: Whether its attention needs masks that flash-attn does not know.
    """

    network: str
    vision: Callable[[Loaded], Vision]
    kept_modules: tuple[str, ...]
    decoder: type[Decoder] = Decoder
    decoder_name: str = "language_model"
    default_template: str | None = None
    clip_template: str | None = None
    masks_pictures: bool = False

    @property
    def network_class(self) -> Any:  # noqa: ANN401 - transformers is untyped here
        """The class of transformers."""
        return getattr(transformers, self.network)


ARCHITECTURES = {
    architecture.network: architecture
    for architecture in (
        Architecture(
            "LlavaForConditionalGeneration", LlavaVision, LLAVA_KEPT, default_template=VICUNA
        ),
        Architecture("LlavaOnevisionForConditionalGeneration", OnevisionVision, LLAVA_KEPT),
        Architecture(
            "LlavaNextVideoForConditionalGeneration",
            NextVideoVision,
            (
                "model.vision_tower",
                "model.multi_modal_projector",
                "model.vision_resampler",
                "lm_head",
            ),
            default_template=VICUNA,
        ),
        Architecture("Qwen2VLForConditionalGeneration", QwenVision, QWEN_KEPT, MropeDecoder),
        Architecture("Qwen2_5_VLForConditionalGeneration", QwenVision, QWEN_KEPT, MropeDecoder),
        Architecture("Qwen3VLForConditionalGeneration", Qwen3Vision, QWEN_KEPT, DeepstackDecoder),
        Architecture(
            "Gemma3ForConditionalGeneration",
            Gemma3Vision,
            LLAVA_KEPT,
            Gemma3Decoder,
            masks_pictures=True,
        ),
        Architecture(
            "SmolVLMForConditionalGeneration",
            SmolVision,
            ("model.vision_model", "model.connector", "lm_head"),
            decoder_name="text_model",
            clip_template=DEFAULT_CHAT_TEMPLATE,
        ),
    )
}
