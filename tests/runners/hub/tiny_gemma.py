"""Gemma 3, as Google publishes it, tiny."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, GemmaTokenizer

from tests.runners.hub.tiny_checkpoints import write_checkpoint
from tests.runners.hub.tiny_llava import llava_name
from tests.runners.hub.tiny_tokenizers import byte_fallback

TEMPLATE = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\n' }}
{%- endif -%}
"""


def gemma3(directory: Path) -> Path:
    """A tiny gemma-3-4b-it: a short window, so that prompts are longer than it."""
    tokenizer = _tokenizer()
    side = 32
    config = Gemma3Config.from_dict(
        {
            "text_config": {
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "head_dim": 32,
                "query_pre_attn_scalar": 32,
                "vocab_size": 640,
                "sliding_window": 24,
                "sliding_window_pattern": 2,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                "max_position_embeddings": 2048,
            },
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": side,
                "patch_size": 4,
                "vision_use_head": False,
            },
            "mm_tokens_per_image": 16,
            "boi_token_index": tokenizer.convert_tokens_to_ids("<start_of_image>"),
            "eoi_token_index": tokenizer.convert_tokens_to_ids("<end_of_image>"),
            "image_token_index": tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        }
    )
    files: dict[str, dict[str, Any]] = {
        "preprocessor_config.json": {
            "do_convert_rgb": None,
            "do_normalize": True,
            "do_pan_and_scan": None,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "Gemma3ImageProcessor",
            "image_seq_length": 16,
            "image_std": [0.5, 0.5, 0.5],
            "pan_and_scan_max_num_crops": None,
            "pan_and_scan_min_crop_size": None,
            "pan_and_scan_min_ratio_to_activate": None,
            "processor_class": "Gemma3Processor",
            "resample": 2,
            "rescale_factor": 0.00392156862745098,
            "size": {"height": side, "width": side},
        },
        "processor_config.json": {"image_seq_length": 16, "processor_class": "Gemma3Processor"},
        "generation_config.json": {
            "bos_token_id": 2,
            "do_sample": True,
            "eos_token_id": [1, tokenizer.convert_tokens_to_ids("<end_of_turn>")],
            "pad_token_id": 0,
            "top_k": 64,
            "top_p": 0.95,
        },
    }
    network = Gemma3ForConditionalGeneration(config)
    return write_checkpoint(directory, network, tokenizer, files, llava_name, TEMPLATE)


def _tokenizer() -> GemmaTokenizer:
    vocabulary, merges = byte_fallback(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    tokenizer = GemmaTokenizer(
        vocabulary,
        merges,
        add_bos_token=True,
        extra_special_tokens={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
    )
    turns = ["<start_of_turn>", "<end_of_turn>"]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in turns])
    lines = ["\n" * count for count in range(1, 5)]
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in lines])
    return tokenizer
