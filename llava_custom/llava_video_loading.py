"""Original LLaVA-Video checkpoints onto transformers' LlavaOnevision classes, no conversion step.

Source: LLAVA.md 2 and 6; the class differs from the original only in the layout of visual tokens,
which ``llava_video_blocks`` computes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Tokenizer,
    SiglipVisionConfig,
)
from transformers.utils import is_flash_attn_2_available

from contracts.errors import WeightsError
from llava_custom.checkpoint import (
    VisionShape,
    find_directory,
    read_json,
    read_shapes,
    vision_shape,
)
from llava_custom.llava_video_config import LlavaVideoConfig, parse_config, token_ids
from llava_custom.model import LlavaVideo
from llava_custom.quantization import Quantization, quantization_config
from llava_custom.weights import KEY_MAPPING, check_loaded, check_shapes

VOCABULARY_FILES = ("vocab.json", "merges.txt")

Attention = Literal["auto", "sdpa", "flash_attention_2", "eager"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a checkpoint is loaded.

    Attributes:
        quantization: Precision of the language model's linear layers.
        attention: Attention kernel; auto takes flash-attn where it can run, else sdpa.
        device: ``cpu``, ``cuda``, ``cuda:1``, ...
        dtype: Of weights that are not quantised, and of the arithmetic.
        vision_chunk: Pictures the vision tower takes at once.
    """

    quantization: Quantization = "none"
    attention: Attention = "auto"
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    vision_chunk: int = 16


def load_checkpoint(path: str, options: LoadOptions) -> LlavaVideo:
    """Load a LLaVA-Video checkpoint in its original layout.

    Args:
        path: A directory, or a hub id whose files are downloaded or cached.
        options: Precision, device and kernels.

    Raises:
        WeightsError: The checkpoint cannot be run, does not fit its architecture (every tensor
            too many, too few or of a wrong shape is named), or an option cannot be met here.
    """
    directory = find_directory(path)
    config = parse_config(read_json(directory / "config.json"))
    tokenizer = _load_tokenizer(directory, config)
    generation = directory / "generation_config.json"
    eos_token_ids = token_ids(read_json(generation), "eos_token_id") if generation.exists() else ()
    return LlavaVideo(
        network=_load_network(directory, config, options),
        tokenizer=tokenizer,
        config=config,
        eos_token_ids=config.eos_token_ids.union(eos_token_ids),
        device=torch.device(options.device),
        vision_chunk=options.vision_chunk,
    )


def _load_network(
    directory: Path, config: LlavaVideoConfig, options: LoadOptions
) -> LlavaOnevisionForConditionalGeneration:
    quantization = quantization_config(options.quantization, options.device, config.text)
    attention = _attention(options)
    shapes = read_shapes(directory)
    network_config = _network_config(vision_shape(shapes, config), config)
    check_shapes(shapes, network_config)
    network, loaded = LlavaOnevisionForConditionalGeneration.from_pretrained(
        directory,
        config=network_config,
        key_mapping=KEY_MAPPING,
        dtype=options.dtype,
        device_map={"": options.device},
        quantization_config=quantization,
        attn_implementation=attention,
        output_loading_info=True,
    )
    check_loaded(loaded)
    return network.eval()


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
    vocab_size, num_tokens = config.text["vocab_size"], 1 + max(tokenizer.get_vocab().values())
    if num_tokens > vocab_size:
        raise WeightsError(f"vocab_size is {vocab_size}; the tokenizer has {num_tokens} tokens")
    return tokenizer


def _attention(options: LoadOptions) -> str:
    # flash-attn has kernels for CUDA and half precision alone.
    is_half = options.dtype in (torch.bfloat16, torch.float16)
    can_flash = is_flash_attn_2_available() and options.device.startswith("cuda") and is_half
    if options.attention == "flash_attention_2" and not can_flash:
        raise WeightsError(
            "attention flash_attention_2 needs flash-attn, a CUDA device and bfloat16 or float16; "
            "use sdpa or auto"
        )
    if options.attention == "auto":
        return "flash_attention_2" if can_flash else "sdpa"
    return options.attention
