"""Original LLaVA-Video checkpoints onto transformers' LlavaOnevision classes, no conversion step.

Source: LLAVA.md 2 and 6; the class differs from the original only in the layout of visual tokens,
which ``llava_video_blocks`` computes.
"""

from functools import partial
from pathlib import Path

import torch
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Tokenizer,
    SiglipVisionConfig,
)

from contracts.errors import WeightsError
from contracts.media import FramePolicy
from llava_custom.checkpoint import generation_eos_ids, read_json, read_shapes
from llava_custom.language_model import LanguageModel
from llava_custom.llava_video_chat import TURN_BEGINS, TURN_ENDS, render
from llava_custom.llava_video_config import LlavaVideoConfig, parse_config
from llava_custom.llava_video_encoder import LlavaVideoEncoder
from llava_custom.llava_video_weights import KEY_MAPPING, VisionShape, original_name, vision_shape
from llava_custom.load_options import LoadOptions
from llava_custom.load_report import LoadReport
from llava_custom.model import VisionLanguageModel
from llava_custom.network_loading import announce, loading, plan_weights
from llava_custom.prequantised import checkpoint_shapes, stored_scheme
from llava_custom.prompt_tokenizer import PromptTokenizer, check_vocabulary
from llava_custom.weights import check_loaded, check_shapes

ARCHITECTURE = "LlavaQwenForCausalLM"
VOCABULARY_FILES = ("vocab.json", "merges.txt")


def load_llava_video(directory: Path, options: LoadOptions) -> VisionLanguageModel:
    """Load a LLaVA-Video checkpoint in its original layout; see ``load_checkpoint``."""
    config = read_llava_video_config(directory)
    tokenizer = _load_tokenizer(directory, config)
    prompt_tokenizer = PromptTokenizer(tokenizer, (TURN_BEGINS, TURN_ENDS))
    network, report = _load_network(directory, config, options)
    size_wh = (config.image_size_px, config.image_size_px)
    return VisionLanguageModel(
        render=partial(render, config=config),
        prompt_tokenizer=prompt_tokenizer,
        eyes=LlavaVideoEncoder(network, config),
        vision_chunk=options.vision_chunk,
        language=LanguageModel(network.model.language_model, network.lm_head),
        tokenizer=tokenizer,
        context_length=config.context_length,
        frame_policy=FramePolicy(config.num_frames, size_wh),
        eos_token_ids=config.eos_token_ids
        | generation_eos_ids(directory)
        | {prompt_tokenizer.id_of(TURN_ENDS)},
        network=network,
        report=report,
    )


def read_llava_video_config(directory: Path) -> LlavaVideoConfig:
    """Read and check config.json."""
    return parse_config(read_json(directory, "config.json"))


def _load_network(
    directory: Path, config: LlavaVideoConfig, options: LoadOptions
) -> tuple[LlavaOnevisionForConditionalGeneration, LoadReport]:
    shapes = read_shapes(directory)
    stored = stored_scheme(read_json(directory, "config.json"))
    network_config = _network_config(vision_shape(shapes, config), config)
    with torch.device("meta"):
        bare = LlavaOnevisionForConditionalGeneration(network_config)
    plan = plan_weights(bare, options, stored=stored, text=config.text)
    optional = {"lm_head.weight"} if config.text["tie_word_embeddings"] else ()
    check_shapes(shapes, checkpoint_shapes(bare, original_name, stored, shapes), optional)
    announce(plan)
    with loading(bare, plan.progress):
        network, loaded = LlavaOnevisionForConditionalGeneration.from_pretrained(
            directory,
            config=plan.config(network_config),
            key_mapping=KEY_MAPPING,
            **plan.arguments(),
        )
    check_loaded(loaded, original_name)
    if network.model.image_newline.is_meta:  # read here, by no module that could fetch it
        raise WeightsError("no device has room for image_newline; spread less over disk")
    return network, plan.finish(network, ARCHITECTURE)


def _network_config(vision: VisionShape, config: LlavaVideoConfig) -> LlavaOnevisionConfig:
    return LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=vision.hidden_size,
            intermediate_size=vision.intermediate_size,
            num_hidden_layers=vision.num_layers,
            num_attention_heads=config.num_vision_heads,
            image_size=config.image_size_px,
            patch_size=config.patch_size_px,
            vision_use_head=False,
        ),
        text_config=Qwen2Config(**config.text),
        tie_word_embeddings=config.text["tie_word_embeddings"],
    )


def _load_tokenizer(directory: Path, config: LlavaVideoConfig) -> PreTrainedTokenizerFast:
    """The tokenizer as its files say; AutoTokenizer would first misread config.json."""
    is_whole = (directory / "tokenizer.json").exists()
    if not is_whole and not all((directory / name).exists() for name in VOCABULARY_FILES):
        raise WeightsError(f"tokenizer.json is missing, and so is {' or '.join(VOCABULARY_FILES)}")
    tokenizer_class = PreTrainedTokenizerFast if is_whole else Qwen2Tokenizer
    try:
        tokenizer = tokenizer_class.from_pretrained(directory)
    except Exception as exc:  # the tokenizers library raises nothing narrower
        raise WeightsError("the tokenizer's files are damaged") from exc
    check_vocabulary(tokenizer, config.text["vocab_size"])
    return tokenizer
