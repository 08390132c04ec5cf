"""Original LLaVA-Video checkpoints onto transformers' LlavaOnevision classes, no conversion step.

Source: LLAVA.md 2 and 6; the class differs from the original only in the layout of visual tokens,
which ``blocks`` computes.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
    TOWER_PREFIX,
    find_directory,
    read_json,
    read_shapes,
    vision_shape,
)
from llava_custom.config import LlavaVideoConfig, parse_config, token_ids
from llava_custom.model import LlavaVideo
from llava_custom.quantization import Quantization, quantization_config

Attention = Literal["auto", "sdpa", "flash_attention_2", "eager"]

# Prefixes in the checkpoint and in the network; model.image_newline and lm_head.weight keep theirs.
PREFIXES = (
    (TOWER_PREFIX, "model.vision_tower."),
    ("model.mm_projector.0.", "model.multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "model.multi_modal_projector.linear_2."),
    ("model.embed_tokens.", "model.language_model.embed_tokens."),
    ("model.layers.", "model.language_model.layers."),
    ("model.norm.", "model.language_model.norm."),
)
MAX_LISTED_KEYS = 8


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
    network = _load_network(directory, config, options)
    generation = directory / "generation_config.json"
    eos_token_ids = token_ids(read_json(generation), "eos_token_id") if generation.exists() else ()
    return LlavaVideo(
        network=network,
        tokenizer=_load_tokenizer(directory),
        config=config,
        eos_token_ids=config.eos_token_ids.union(eos_token_ids),
        device=torch.device(options.device),
        vision_chunk=options.vision_chunk,
    )


def _load_network(
    directory: Path, config: LlavaVideoConfig, options: LoadOptions
) -> LlavaOnevisionForConditionalGeneration:
    network, loaded = LlavaOnevisionForConditionalGeneration.from_pretrained(
        directory,
        config=_network_config(directory, config),
        key_mapping={f"^{re.escape(theirs)}": ours for theirs, ours in PREFIXES},
        dtype=options.dtype,
        device_map={"": options.device},
        quantization_config=quantization_config(options.quantization, options.device, config.text),
        attn_implementation=_attention(options),
        ignore_mismatched_sizes=True,  # reported below with the others instead of raised here
        output_loading_info=True,
    )
    _check_complete(loaded)
    return network.eval()


def _network_config(directory: Path, config: LlavaVideoConfig) -> LlavaOnevisionConfig:
    vision = vision_shape(read_shapes(directory), config)
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


def _load_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """The tokenizer as its files say; AutoTokenizer would first misread config.json."""
    is_whole = (directory / "tokenizer.json").exists()
    tokenizer_class = PreTrainedTokenizerFast if is_whole else Qwen2Tokenizer
    try:
        return tokenizer_class.from_pretrained(directory)
    except (OSError, ValueError) as exc:
        raise WeightsError("the tokenizer's files are missing or damaged") from exc


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


def _check_complete(loaded: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose tensors are not exactly the network's.

    A wrong name does not stop ``from_pretrained``: it would leave random weights.
    """
    wrong_shapes = [
        f"{_original_name(key)} {tuple(got)} instead of {tuple(expected)}"
        for key, got, expected in loaded["mismatched_keys"]
    ]
    problems = {
        "missing": [_original_name(key) for key in loaded["missing_keys"]],
        "unexpected": [_original_name(key) for key in loaded["unexpected_keys"]],
        "of a wrong shape": wrong_shapes,
    }
    listed = [f"{what}: {_listed(keys)}" for what, keys in problems.items() if keys]
    if listed:
        raise WeightsError(f"tensors do not match the architecture; {'; '.join(listed)}")


def _original_name(key: str) -> str:
    for theirs, ours in PREFIXES:
        if key.startswith(ours):
            return theirs + key[len(ours) :]
    return key


def _listed(keys: Iterable[str]) -> str:
    first, *others = sorted(keys)
    listed = [first, *others[: MAX_LISTED_KEYS - 1]]
    rest = len(others) + 1 - len(listed)
    return ", ".join(listed) + (f" and {rest} more" if rest else "")
