"""LLaVA-Video of full size, or tiny, in its original layout with random weights.

Source: LLAVA.md 1.1 (config.json), 1.2 (names and shapes).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bench.gpu_siglip import SO400M, TowerSizes, tower_shapes
from bench.gpu_weights import Shapes, byte_tokenizer, write_json, write_weights

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WITHOUT_LAST_LAYER = replace(SO400M, num_layers=26)
TOWER = "model.vision_tower.vision_tower.vision_model."


@dataclass(frozen=True, slots=True)
class LlavaSizes:
    """Qwen2-7B behind a SigLIP tower; ``num_plain`` tokens are text, control tokens follow."""

    hidden_size: int = 3584
    intermediate_size: int = 18944
    num_layers: int = 28
    num_heads: int = 28
    num_kv_heads: int = 4
    vocab_size: int = 152064
    num_plain: int = 151643
    tower: TowerSizes = WITHOUT_LAST_LAYER

    @property
    def kv_width(self) -> int:
        """Width of the keys of all heads."""
        return self.hidden_size // self.num_heads * self.num_kv_heads


LLAVA_VIDEO_7B = LlavaSizes()
# Multiples of 64 and 32, which 4-bit kernels of some CPUs need.
LLAVA_TINY = LlavaSizes(64, 128, 2, 2, 1, 272, 256, TowerSizes(32, 56, 2, image_px=56))


def write_llava(folder: Path, sizes: LlavaSizes, device: torch.device) -> None:
    """Write weights, configuration and tokenizer into ``folder``."""
    write_weights(folder, llava_shapes(sizes), device)
    write_json(folder / "config.json", llava_config(sizes))
    ends = [sizes.num_plain + CONTROL.index(token) for token in ("<|im_end|>", "<|endoftext|>")]
    write_json(folder / "generation_config.json", {"do_sample": False, "eos_token_id": ends})
    byte_tokenizer(sizes.num_plain, CONTROL).save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
    }
    write_json(folder / "tokenizer_config.json", settings)


def llava_config(sizes: LlavaSizes) -> dict[str, object]:
    """The config.json, without keys that nothing reads."""
    tower = sizes.tower
    sides = [tower.image_px * count for count in range(1, 7)]
    return {
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.num_layers,
        "num_attention_heads": sizes.num_heads,
        "num_key_value_heads": sizes.num_kv_heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "rope_scaling": None,
        "max_position_embeddings": 32768,
        "tokenizer_model_max_length": 32768,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "bos_token_id": sizes.num_plain,
        "eos_token_id": sizes.num_plain + CONTROL.index("<|im_end|>"),
        "torch_dtype": "bfloat16",
        "mm_vision_tower": f"google/siglip-so400m-patch{tower.patch_px}-{tower.image_px}",
        "mm_hidden_size": tower.hidden_size,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_spatial_pool_mode": "bilinear",
        "mm_spatial_pool_stride": 2,
        "mm_newline_position": "grid",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "add_faster_video": False,
        "image_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": [[width, height] for width in sides for height in sides],
    }


def llava_shapes(sizes: LlavaSizes) -> Shapes:
    """Every tensor of the checkpoint."""
    width, tower = sizes.hidden_size, sizes.tower
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (sizes.vocab_size, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (sizes.vocab_size, width),
        "model.image_newline": (width,),
        "model.mm_projector.0.weight": (width, tower.hidden_size),
        "model.mm_projector.0.bias": (width,),
        "model.mm_projector.2.weight": (width, width),
        "model.mm_projector.2.bias": (width,),
    }
    for index in range(sizes.num_layers):
        shapes |= _qwen2_layer(f"model.layers.{index}.", sizes)
    return shapes | tower_shapes(TOWER, tower)


def _qwen2_layer(at: str, sizes: LlavaSizes) -> Shapes:
    width, wide = sizes.hidden_size, sizes.intermediate_size
    return {
        f"{at}self_attn.q_proj.weight": (width, width),
        f"{at}self_attn.q_proj.bias": (width,),
        f"{at}self_attn.k_proj.weight": (sizes.kv_width, width),
        f"{at}self_attn.k_proj.bias": (sizes.kv_width,),
        f"{at}self_attn.v_proj.weight": (sizes.kv_width, width),
        f"{at}self_attn.v_proj.bias": (sizes.kv_width,),
        f"{at}self_attn.o_proj.weight": (width, width),
        f"{at}mlp.gate_proj.weight": (wide, width),
        f"{at}mlp.up_proj.weight": (wide, width),
        f"{at}mlp.down_proj.weight": (width, wide),
        f"{at}input_layernorm.weight": (width,),
        f"{at}post_attention_layernorm.weight": (width,),
    }
