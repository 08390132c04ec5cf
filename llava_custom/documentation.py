"""The README's table of the memory that weights need, counted from the networks' shapes.

``python -m llava_custom.documentation README.md`` rewrites what stands between the markers.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)

from contracts.documentation import with_block
from llava_custom.load_report import human_size
from llava_custom.memory import MemoryNeed, count_memory
from llava_custom.quantization import Scheme
from llava_custom.vila_config import VilaConfig
from llava_custom.vila_network import build_network

SIGLIP = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}
# Source: config.json of lmms-lab/LLaVA-Video-7B-Qwen2, and the shapes of its tower.
LLAVA_VIDEO_7B = LlavaOnevisionConfig(
    vision_config=SiglipVisionConfig(**SIGLIP, num_hidden_layers=26, vision_use_head=False),
    text_config=Qwen2Config(
        vocab_size=152_064,
        hidden_size=3584,
        intermediate_size=18_944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=32_768,
    ),
    tie_word_embeddings=False,
)
# Source: the config.json files of Efficient-Large-Model/VILA1.5-3b.
VILA_3B = VilaConfig(
    text={
        "vocab_size": 32_000,
        "hidden_size": 2560,
        "intermediate_size": 6912,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "num_key_value_heads": 20,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    },
    tower={**SIGLIP, "num_hidden_layers": 27},
    image_size_px=384,
    num_tower_layers=26,
    tokens_per_picture=196,
    token_order="column_major",
    num_frames=8,
    context_length=4096,
    eos_token_ids=frozenset({2}),
)
SCHEMES = {
    "`none`": Scheme("none"),
    "`int8`": Scheme("int8"),
    "`nf4`, `VLM_DOUBLE_QUANT=false`": Scheme("nf4", double_quant=False),
    "`nf4`": Scheme("nf4"),
}


def llava_video_7b() -> nn.Module:
    """LLaVA-Video-7B-Qwen2 without weights."""
    with torch.device("meta"):
        network: nn.Module = LlavaOnevisionForConditionalGeneration(LLAVA_VIDEO_7B)
    return network


def vila_3b() -> nn.Module:
    """VILA1.5-3b without weights, and without what its tower does not use."""
    with torch.device("meta"):
        network = build_network(VILA_3B)
    network.drop_unused(VILA_3B.num_tower_layers)
    return network


def memory_table() -> str:
    """What the weights of two checkpoints need in each quantization, the rest in bfloat16."""
    networks = {"LLaVA-Video-7B-Qwen2": llava_video_7b(), "VILA1.5-3b": vila_3b()}
    head = [cell for name in networks for cell in (name, "of it quantised")]
    lines = [_line("`VLM_QUANTIZATION`", *head), _line("---", *["---"] * len(head))]
    for name, scheme in SCHEMES.items():
        needs = [count_memory(one, scheme, torch.bfloat16) for one in networks.values()]
        lines.append(_line(name, *(cell for need in needs for cell in _cells(need))))
    per_thousand = [human_size(1000 * need.kv_bytes_per_token) for need in needs]
    lines.append(
        _line("1,000 tokens in flight", *(cell for size in per_thousand for cell in (size, "")))
    )
    return "\n".join(lines)


def _cells(need: MemoryNeed) -> tuple[str, str]:
    """All weights, and of them those that are quantised."""
    sizes = [part.num_bytes for part in need.parts if part.precision == need.scheme.quantization]
    return human_size(need.num_bytes), human_size(sizes[0]) if sizes else ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_block(path.read_text(), "memory", memory_table()))
