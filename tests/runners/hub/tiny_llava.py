"""LLaVA-1.5 and LLaVA-OneVision, as llava-hf publishes them, tiny."""

from pathlib import Path
from typing import Any

from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    Qwen2Tokenizer,
    SiglipVisionConfig,
)

from tests.runners.hub.tiny_checkpoints import write_checkpoint
from tests.runners.hub.tiny_tokenizers import byte_fallback, byte_level

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
TEXT_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 640,
}
SHAPES = [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)]  # of tiles, in LLaVA-NeXT
GENERATION = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "repetition_penalty": 1.05}

LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
ONEVISION_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}{# Render all video then #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>' }}{% endfor %}{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ '\n' + content['text'] }}{% endgeneration %}{% endfor %}{% endif %}"
    "{{'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


NEXT_VIDEO_TEMPLATE = LLAVA_TEMPLATE.replace(
    "{# Render all text next #}",
    "{# Render all video next #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>\n' }}{% endfor %}{# Render all text next #}",
)


def llava_name(name: str) -> str:
    """The name of a tensor in checkpoints of LLaVA's classes from before transformers 4.52."""
    if name == "lm_head.weight":
        return "language_model.lm_head.weight"
    if name.startswith("model.language_model."):
        return name.replace("model.language_model.", "language_model.model.", 1)
    if name.startswith("model.vision_tower."):
        return name.replace("model.vision_tower.", "vision_tower.vision_model.", 1)
    return name.removeprefix("model.")


def vicuna_tokenizer(*extra: str) -> LlamaTokenizer:
    """A Llama tokenizer, which puts a first token before every prompt."""
    vocabulary, merges = byte_fallback(["<unk>", "<s>", "</s>"])
    return LlamaTokenizer(
        vocabulary,
        merges,
        pad_token="<pad>",
        add_bos_token=True,
        additional_special_tokens=list(extra),
    )


def clip_tower(size_px: int) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=size_px,
        patch_size=14,
        projection_dim=16,
    )


def squaring(size_px: int) -> dict[str, Any]:
    """Settings of a processor that scales the shorter edge and cuts a square out."""
    return {
        "crop_size": {"height": size_px, "width": size_px},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": size_px},
    }


def llava_15(directory: Path, *, template: str | None = LLAVA_TEMPLATE) -> Path:
    """A tiny llava-1.5-7b-hf."""
    tokenizer = vicuna_tokenizer("<image>")
    config = LlavaConfig(
        vision_config=clip_tower(42),
        text_config=LlamaConfig(**TEXT_SIZES, max_position_embeddings=512),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    files = {
        "preprocessor_config.json": squaring(42) | {"image_processor_type": "CLIPImageProcessor"},
        "processor_config.json": {
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "processor_class": "LlavaProcessor",
            "vision_feature_select_strategy": "default",
        },
        "generation_config.json": GENERATION | {"bos_token_id": 1, "eos_token_id": 2},
    }
    network = LlavaForConditionalGeneration(config)
    return write_checkpoint(directory, network, tokenizer, files, llava_name, template)


def next_video(directory: Path) -> Path:
    """A tiny LLaVA-NeXT-Video-7B-hf."""
    tokenizer = vicuna_tokenizer("<video>", "<image>")
    side = 56
    pinpoints = [[side * rows, side * columns] for rows, columns in SHAPES]
    config = LlavaNextVideoConfig(
        vision_config=clip_tower(side),
        text_config=LlamaConfig(**TEXT_SIZES, max_position_embeddings=1024),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )
    files: dict[str, dict[str, Any]] = {
        "preprocessor_config.json": squaring(side)
        | {"image_grid_pinpoints": pinpoints, "image_processor_type": "LlavaNextImageProcessor"},
        "video_preprocessor_config.json": squaring(side)
        | {"video_processor_type": "LlavaNextVideoVideoProcessor"},
        "processor_config.json": {
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "processor_class": "LlavaNextVideoProcessor",
            "video_token": "<video>",
            "vision_feature_select_strategy": "default",
        },
        "generation_config.json": GENERATION | {"bos_token_id": 1, "eos_token_id": 2},
    }
    network = LlavaNextVideoForConditionalGeneration(config)
    return write_checkpoint(directory, network, tokenizer, files, llava_name, NEXT_VIDEO_TEMPLATE)


def qwen_tokenizer(*extra: str) -> Qwen2Tokenizer:
    vocabulary, merges = byte_level()
    return Qwen2Tokenizer(
        vocabulary,
        merges,
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>", *extra],
    )


def onevision(directory: Path) -> Path:
    """A tiny llava-onevision-qwen2-0.5b-ov-hf."""
    tokenizer = qwen_tokenizer("<image>", "<video>")
    side, pinpoints = 28, [[28 * i, 28 * j] for i in (1, 2, 3) for j in (1, 2, 3)]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=side,
            patch_size=4,
            vision_use_head=False,
        ),
        text_config=Qwen2Config(**TEXT_SIZES, max_position_embeddings=2048),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio="anyres_max_4",
    )
    common: dict[str, Any] = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": side, "width": side},
    }
    files = {
        "preprocessor_config.json": common
        | {
            "do_pad": True,
            "image_grid_pinpoints": pinpoints,
            "image_processor_type": "LlavaOnevisionImageProcessor",
        },
        "video_preprocessor_config.json": common
        | {"video_processor_type": "LlavaOnevisionVideoProcessor"},
        "processor_config.json": {
            "num_image_tokens": (side // 4) ** 2,
            "processor_class": "LlavaOnevisionProcessor",
            "vision_aspect_ratio": "anyres_max_4",
            "vision_feature_select_strategy": "full",
        },
        "generation_config.json": GENERATION
        | {"eos_token_id": [tokenizer.convert_tokens_to_ids("<|im_end|>"), 0]},
    }
    network = LlavaOnevisionForConditionalGeneration(config)
    return write_checkpoint(directory, network, tokenizer, files, llava_name, ONEVISION_TEMPLATE)
