"""VILA1.5 of full size, or tiny, in its original three folders with random weights.

Source: LLAVA.md 3.1 (folders, configurations and sizes) and 3.2 (names).
"""

import importlib
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from bench.gpu_siglip import SO400M, TowerSizes, head_shapes, tower_shapes
from bench.gpu_weights import Shapes, write_json, write_weights

CONTEXT_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class VilaSizes:
    """Sheared LLaMA of 2.7B behind a SigLIP tower that brings its last layer and its head."""

    hidden_size: int = 2560
    intermediate_size: int = 6912
    num_layers: int = 32
    num_heads: int = 20
    vocab_size: int = 32000
    tower: TowerSizes = SO400M


VILA_3B = VilaSizes()
VILA_TINY = VilaSizes(64, 128, 2, 2, 608, TowerSizes(32, 56, 3, image_px=56))


def write_vila(folder: Path, sizes: VilaSizes, device: torch.device) -> None:
    """Write weights, configurations and tokenizer into ``folder``."""
    llm, tower, projector = (folder / name for name in ("llm", "vision_tower", "mm_projector"))
    write_weights(llm, llm_shapes(sizes), device)
    write_weights(tower, vision_shapes(sizes), device)
    write_weights(projector, projector_shapes(sizes), device)
    write_json(folder / "config.json", root_config(sizes))
    write_json(llm / "config.json", llm_config(sizes))
    write_json(llm / "generation_config.json", {"do_sample": False, "eos_token_id": 2})
    write_json(llm / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"})
    (llm / "tokenizer.model").write_bytes(character_model(sizes.vocab_size))
    write_json(tower / "config.json", tower_config(sizes.tower))
    write_json(tower / "preprocessor_config.json", pixel_config(sizes.tower))
    write_json(projector / "config.json", {"mm_projector_type": "mlp_downsample"})


def root_config(sizes: VilaSizes) -> dict[str, object]:
    """The config.json above the folders."""
    return {
        "architectures": ["LlavaLlamaModel"],
        "model_type": "llava_llama",
        "hidden_size": sizes.hidden_size,
        "mm_hidden_size": sizes.tower.hidden_size,
        "image_aspect_ratio": "resize",
        "num_video_frames": 8,
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "cls_patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "s2": False,
        "vision_resolution": -1,
    }


def llm_config(sizes: VilaSizes) -> dict[str, object]:
    """The language model's config.json."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.num_layers,
        "num_attention_heads": sizes.num_heads,
        "num_key_value_heads": sizes.num_heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "max_position_embeddings": CONTEXT_LENGTH,
        "tokenizer_model_max_length": CONTEXT_LENGTH,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "pretraining_tp": 1,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "torch_dtype": "bfloat16",
    }


def tower_config(sizes: TowerSizes) -> dict[str, object]:
    """The vision tower's config.json."""
    return {
        "architectures": ["SiglipVisionModel"],
        "model_type": "siglip_vision_model",
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.num_layers,
        "num_attention_heads": 16,
        "image_size": sizes.image_px,
        "patch_size": sizes.patch_px,
        "num_channels": 3,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
    }


def pixel_config(sizes: TowerSizes) -> dict[str, object]:
    """The vision tower's preprocessor_config.json."""
    return {
        "image_processor_type": "SiglipImageProcessor",
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "resample": 3,
        "size": {"height": sizes.image_px, "width": sizes.image_px},
    }


def llm_shapes(sizes: VilaSizes) -> Shapes:
    """Every tensor of the language model."""
    width, wide = sizes.hidden_size, sizes.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (sizes.vocab_size, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (sizes.vocab_size, width),
    }
    for index in range(sizes.num_layers):
        at = f"model.layers.{index}."
        shapes |= {f"{at}self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
        shapes |= {
            f"{at}mlp.gate_proj.weight": (wide, width),
            f"{at}mlp.up_proj.weight": (wide, width),
            f"{at}mlp.down_proj.weight": (width, wide),
            f"{at}input_layernorm.weight": (width,),
            f"{at}post_attention_layernorm.weight": (width,),
        }
    return shapes


def vision_shapes(sizes: VilaSizes) -> Shapes:
    """Every tensor of the vision tower."""
    prefix = "vision_model."
    return tower_shapes(prefix, sizes.tower) | head_shapes(f"{prefix}head.", sizes.tower)


def projector_shapes(sizes: VilaSizes) -> Shapes:
    """Every tensor of the projector: a norm of four patches together, two linear layers."""
    width, wide = sizes.hidden_size, 4 * sizes.tower.hidden_size
    return {
        "layers.1.weight": (wide,),
        "layers.1.bias": (wide,),
        "layers.2.weight": (width, wide),
        "layers.2.bias": (width,),
        "layers.4.weight": (width, width),
        "layers.4.bias": (width,),
    }


def character_model(vocab_size: int) -> bytes:
    """A sentencepiece model of single characters with a vocabulary of the right size.

    Args:
        vocab_size: At least 356: control tokens, bytes and printable ASCII, then Chinese and
            Korean characters.
    """
    # Needed for VILA alone. Its classes are made when it is imported, so no type checker sees them.
    protocol: Any = importlib.import_module("sentencepiece.sentencepiece_model_pb2")
    kinds = protocol.ModelProto.SentencePiece
    pieces = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    pieces += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    codes = chain(range(0x21, 0x7F), range(0x4E00, 0xA000), range(0xAC00, 0xD7A4))
    characters = chain("▁", map(chr, codes))
    pieces += [(piece, kinds.NORMAL) for piece in islice(characters, vocab_size - len(pieces))]
    model = protocol.ModelProto()
    model.trainer_spec.model_type = protocol.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.vocab_size = len(pieces)
    for rank, (piece, kind) in enumerate(pieces):
        model.pieces.add(piece=piece, type=kind, score=-float(rank))
    encoded: bytes = model.SerializeToString()
    return encoded
