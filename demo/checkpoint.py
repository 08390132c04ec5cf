"""The trained parts as a checkpoint in the original LLaVA-Video layout, and back.

Source: LLAVA.md 1.1 (config.json) and 1.2 (names of the weights).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from demo.architecture import (
    HIDDEN,
    MAX_POSITIONS,
    NUM_FRAMES,
    NUM_VISION_HEADS,
    PATCH_PX,
    SIZE_PX,
    Eyes,
    Speech,
    text_config,
)
from demo.prompts import END

DTYPE = torch.bfloat16
# From the names of the training's modules to those of the original layout.
RENAMED = (
    (r"^tower\.", "model.vision_tower.vision_tower.vision_model."),
    (r"^linear_1\.", "model.mm_projector.0."),
    (r"^linear_2\.", "model.mm_projector.2."),
    (r"^newline$", "model.image_newline"),
    (r"^language\.model\.", "model."),
    (r"^language\.lm_head\.", "lm_head."),
)


def save_checkpoint(
    path: Path, eyes: Eyes, speech: Speech, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Write weights, configuration and tokenizer into the folder ``path``."""
    path.mkdir(parents=True, exist_ok=True)
    weights = {**eyes.state_dict(), **speech.state_dict()}
    stored = {
        original_name(name): tensor.to(DTYPE).contiguous() for name, tensor in weights.items()
    }
    save_file(stored, path / "model.safetensors", metadata={"format": "pt"})
    (path / "model.safetensors").chmod(0o644)
    _write_json(path / "config.json", config_json(len(tokenizer)))
    _write_json(path / "generation_config.json", generation_json(tokenizer))
    _save_tokenizer(path, tokenizer)


def load_checkpoint(path: Path) -> tuple[Eyes, Speech]:
    """Read the weights back into the training's modules, as float32."""
    stored = {
        name: tensor.float() for name, tensor in load_file(path / "model.safetensors").items()
    }
    eyes, speech = Eyes(), Speech(len(stored["lm_head.weight"]))
    for part in (eyes, speech):
        part.load_state_dict({name: stored[original_name(name)] for name in part.state_dict()})
        part.eval()
    return eyes, speech


def original_name(name: str) -> str:
    """What the original layout calls a weight of the training's modules."""
    for pattern, replacement in RENAMED:
        name, count = re.subn(pattern, replacement, name)
        if count:
            return name
    raise ValueError(f"expected a weight of the eyes or the speech, got {name}")


def config_json(vocab_size: int) -> dict[str, object]:
    """The configuration as LLaVA-Video's own training would have written it."""
    text = text_config(vocab_size)
    return {
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "vocab_size": vocab_size,
        "hidden_size": HIDDEN,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_key_value_heads": text.num_key_value_heads,
        "hidden_act": text.hidden_act,
        "max_position_embeddings": MAX_POSITIONS,
        "tokenizer_model_max_length": MAX_POSITIONS,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": 10000.0,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "use_cache": True,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "torch_dtype": "bfloat16",
        "mm_vision_tower": f"lookout/siglip-demo-patch{PATCH_PX}-{SIZE_PX}",
        "mm_vision_num_attention_heads": NUM_VISION_HEADS,
        "mm_hidden_size": HIDDEN,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_newline_position": "grid",
        "mm_spatial_pool_mode": "bilinear",
        "mm_spatial_pool_stride": 2,
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": [[SIZE_PX, SIZE_PX]],
        "add_faster_video": False,
        "add_time_instruction": True,
        "force_sample": True,
        "num_video_frames": NUM_FRAMES,
    }


def generation_json(tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    """Greedy by default: the model's answers have one right wording."""
    ends = tokenizer.convert_tokens_to_ids([END, "<|endoftext|>"])
    return {"do_sample": False, "eos_token_id": ends, "pad_token_id": tokenizer.pad_token_id}


def _save_tokenizer(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Save it under the class name that older versions of transformers know too."""
    tokenizer.save_pretrained(path)
    file = path / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    for key in ("backend", "is_local", "local_files_only"):
        settings.pop(key, None)
    _write_json(file, settings)


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def speech_weights(pupil: dict[str, Tensor]) -> dict[str, Tensor]:
    """The part of a pupil's weights that stays when its heads are thrown away."""
    begin = "speech."
    return {name.removeprefix(begin): w for name, w in pupil.items() if name.startswith(begin)}
