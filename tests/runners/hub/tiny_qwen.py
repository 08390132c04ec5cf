"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL, as Qwen publishes them, tiny."""

from pathlib import Path
from typing import Any

from transformers import (
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tests.runners.hub.tiny_checkpoints import write_checkpoint
from tests.runners.hub.tiny_llava import CLIP_MEAN, CLIP_STD, GENERATION, TEXT_SIZES, qwen_tokenizer

MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def old_name(name: str) -> str:
    """The name of a tensor in checkpoints from before transformers 4.52."""
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def qwen2_vl(directory: Path) -> Path:
    """A tiny Qwen2-VL-2B-Instruct; its clips follow preprocessor_config.json."""
    vision = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": TEXT_SIZES["hidden_size"],
        "mlp_ratio": 2,
        "num_heads": 2,
        "in_chans": 3,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    return _write(directory, Qwen2VLConfig, Qwen2VLForConditionalGeneration, vision)


def qwen25_vl(directory: Path) -> Path:
    """A tiny Qwen2.5-VL-3B-Instruct: windows in the tower, time in the positions, tied."""
    vision = {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": TEXT_SIZES["hidden_size"],
        "num_heads": 2,
        "in_chans": 3,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "temporal_patch_size": 2,
        "window_size": 56,
        "fullatt_block_indexes": [1],
        "tokens_per_second": 2,
    }
    return _write(
        directory,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        vision,
        tie_word_embeddings=True,
    )


QWEN3_TEMPLATE = (
    "{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\n' }}"
    "{%- if messages[0].content is string %}{{- messages[0].content }}{%- else %}"
    "{%- for content in messages[0].content %}{%- if 'text' in content %}{{- content.text }}"
    "{%- endif %}{%- endfor %}{%- endif %}{{- '<|im_end|>\n' }}{%- endif %}"
    "{%- set image_count = namespace(value=0) %}{%- set video_count = namespace(value=0) %}"
    "{%- for message in messages %}{%- if message.role == 'user' %}"
    "{{- '<|im_start|>' + message.role + '\n' }}{%- if message.content is string %}"
    "{{- message.content }}{%- else %}{%- for content in message.content %}"
    "{%- if content.type == 'image' or 'image' in content or 'image_url' in content %}"
    "{%- set image_count.value = image_count.value + 1 %}"
    "{%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif content.type == 'video' or 'video' in content %}"
    "{%- set video_count.value = video_count.value + 1 %}"
    "{%- if add_vision_id %}Video {{ video_count.value }}: {% endif -%}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif 'text' in content %}{{- content.text }}{%- endif %}{%- endfor %}{%- endif %}"
    "{{- '<|im_end|>\n' }}{%- elif message.role == 'assistant' %}"
    "{{- '<|im_start|>' + message.role + '\n' }}{%- if message.content is string %}"
    "{{- message.content }}{%- else %}{%- for content_item in message.content %}"
    "{%- if 'text' in content_item %}{{- content_item.text }}{%- endif %}{%- endfor %}"
    "{%- endif %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)


def qwen3_vl(directory: Path) -> Path:
    """A tiny Qwen3-VL-4B-Instruct."""
    tokenizer = qwen_tokenizer(*MARKS)
    config = Qwen3VLConfig.from_dict(
        {
            "text_config": TEXT_SIZES
            | {
                "head_dim": 32,
                "num_hidden_layers": 3,
                "max_position_embeddings": 2048,
                "rope_theta": 5_000_000,
                "rope_scaling": {
                    "mrope_interleaved": True,
                    "mrope_section": [6, 5, 5],
                    "rope_type": "default",
                },
                "bos_token_id": 0,
                "eos_token_id": tokenizer.eos_token_id,
            },
            "vision_config": {
                "depth": 3,
                "hidden_size": 32,
                "intermediate_size": 48,
                "out_hidden_size": TEXT_SIZES["hidden_size"],
                "num_heads": 2,
                "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0, 1],
            },
            "tie_word_embeddings": False,
            **_token_ids(tokenizer),
        }
    )
    common = {
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "Qwen3VLProcessor",
    }
    files: dict[str, dict[str, Any]] = {
        "preprocessor_config.json": common
        | {
            "size": {"longest_edge": 12 * 32 * 32, "shortest_edge": 2 * 32 * 32},
            "image_processor_type": "Qwen2VLImageProcessorFast",
        },
        "video_preprocessor_config.json": common
        | {
            "size": {"longest_edge": 40 * 32 * 32, "shortest_edge": 8 * 32 * 32},
            "video_processor_type": "Qwen3VLVideoProcessor",
        },
        "generation_config.json": GENERATION
        | {"eos_token_id": [tokenizer.convert_tokens_to_ids("<|im_end|>"), 0]},
    }
    network = Qwen3VLForConditionalGeneration(config)
    return write_checkpoint(directory, network, tokenizer, files, str, QWEN3_TEMPLATE)


def _token_ids(tokenizer: Qwen2Tokenizer) -> dict[str, int]:
    keys = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(keys, tokenizer.convert_tokens_to_ids(list(MARKS)), strict=True))


def _write(
    directory: Path,
    config_class: type[PreTrainedConfig],
    network_class: type[PreTrainedModel],
    vision: dict[str, Any],
    **options: object,
) -> Path:
    tokenizer = qwen_tokenizer(*MARKS)
    config = TEXT_SIZES | {
        "architectures": [network_class.__name__],
        "model_type": config_class.model_type,
        "max_position_embeddings": 2048,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        "use_sliding_window": False,
        "sliding_window": 32768,
        "max_window_layers": 2,
        "tie_word_embeddings": False,
        **_token_ids(tokenizer),
        "vision_config": vision,
        "bos_token_id": 0,
        "eos_token_id": tokenizer.eos_token_id,
        **options,
    }
    files: dict[str, dict[str, Any]] = {
        "config.json": config,
        "preprocessor_config.json": {
            "min_pixels": 28 * 56,
            "max_pixels": 6 * 56 * 56,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": CLIP_MEAN,
            "image_std": CLIP_STD,
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": network_class.__name__.replace(
                "ForConditionalGeneration", "Processor"
            ),
        },
        "generation_config.json": GENERATION
        | {"eos_token_id": [tokenizer.convert_tokens_to_ids("<|im_end|>"), 0]},
    }
    network = network_class(config_class.from_dict(config))
    return write_checkpoint(directory, network, tokenizer, files, old_name, TEMPLATE)
