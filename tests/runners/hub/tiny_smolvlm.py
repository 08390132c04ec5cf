"""SmolVLM2, as Hugging Face publishes it, tiny."""

from pathlib import Path
from typing import Any

from transformers import GPT2Tokenizer, SmolVLMConfig, SmolVLMForConditionalGeneration

from tests.runners.hub.tiny_checkpoints import write_checkpoint
from tests.runners.hub.tiny_llava import TEXT_SIZES
from tests.runners.hub.tiny_tokenizers import byte_level

TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def smolvlm(directory: Path) -> Path:
    """A tiny SmolVLM2-500M-Video-Instruct."""
    tokenizer = _tokenizer()
    side = 32
    config = SmolVLMConfig.from_dict(
        {
            "text_config": TEXT_SIZES
            | {
                "model_type": "llama",
                "max_position_embeddings": 2048,
                "rms_norm_eps": 1e-5,
                "pad_token_id": 2,
            },
            "vision_config": {
                "model_type": "smolvlm_vision",
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": side,
                "patch_size": 4,
            },
            "scale_factor": 4,
            "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
            "tie_word_embeddings": False,
        }
    )
    files: dict[str, dict[str, Any]] = {
        "preprocessor_config.json": {
            "do_convert_rgb": True,
            "do_image_splitting": True,
            "do_normalize": True,
            "do_pad": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "SmolVLMImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "max_image_size": {"longest_edge": side},
            "processor_class": "SmolVLMProcessor",
            "resample": 1,
            "rescale_factor": 0.00392156862745098,
            "size": {"longest_edge": 4 * side},
            "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": side}},
        },
        "processor_config.json": {"image_seq_len": 4, "processor_class": "SmolVLMProcessor"},
        "generation_config.json": {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": 2,
        },
    }
    network = SmolVLMForConditionalGeneration(config)
    return write_checkpoint(directory, network, tokenizer, files, str, TEMPLATE)


def _tokenizer() -> GPT2Tokenizer:
    vocabulary, merges = byte_level()
    places = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    return GPT2Tokenizer(
        vocabulary,
        merges,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        unk_token="<|endoftext|>",
        extra_special_tokens={
            "end_of_utterance_token": "<end_of_utterance>",
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
            "image_token": "<image>",
            **{f"place_{index}": place for index, place in enumerate(places)},
        },
    )
