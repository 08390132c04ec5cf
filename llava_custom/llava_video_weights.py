"""Names and sizes of LLaVA-Video's tensors, in the original checkpoint and in the network."""

import re
from dataclasses import dataclass

from contracts.errors import WeightsError
from llava_custom.checkpoint import Shapes
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.weights import renamed

TOWER_PREFIX = "model.vision_tower.vision_tower.vision_model."
# In the checkpoint, in the network; model.image_newline and lm_head.weight keep their names.
PREFIXES = (
    (TOWER_PREFIX, "model.vision_tower."),
    ("model.mm_projector.0.", "model.multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "model.multi_modal_projector.linear_2."),
    ("model.embed_tokens.", "model.language_model.embed_tokens."),
    ("model.layers.", "model.language_model.layers."),
    ("model.norm.", "model.language_model.norm."),
)
KEY_MAPPING = {f"^{re.escape(theirs)}": ours for theirs, ours in PREFIXES}


@dataclass(frozen=True, slots=True)
class VisionShape:
    """Sizes of the vision tower that only its tensors tell."""

    hidden_size: int
    intermediate_size: int
    num_layers: int


def original_name(key: str) -> str:
    """The name in the checkpoint of a tensor of the network."""
    return renamed(key, PREFIXES)


def vision_shape(shapes: Shapes, config: LlavaVideoConfig) -> VisionShape:
    """Sizes of the vision tower, checked against what config.json says of it.

    Raises:
        WeightsError: A tensor is missing, or its shape contradicts the config; names both.
    """
    patch = _shape(shapes, "embeddings.patch_embedding.weight", 4)
    positions = _shape(shapes, "embeddings.position_embedding.weight", 2)
    fc1 = _shape(shapes, "encoder.layers.0.mlp.fc1.weight", 2)
    side = config.patches_per_side
    if (patch[2], patch[3], positions[0]) != (config.patch_size_px, config.patch_size_px, side**2):
        raise WeightsError(
            f"mm_vision_tower says patches of {config.patch_size_px} px and {side} x {side} of "
            f"them; the weights have {patch[2]} x {patch[3]} px and {positions[0]} positions"
        )
    if patch[0] % config.num_vision_heads:
        raise WeightsError(
            f"mm_vision_num_attention_heads is {config.num_vision_heads}; it has to divide the "
            f"vision tower's hidden size {patch[0]}"
        )
    return VisionShape(patch[0], fc1[0], _num_layers(shapes))


def _num_layers(shapes: Shapes) -> int:
    layer = re.compile(re.escape(f"{TOWER_PREFIX}encoder.layers.") + r"(\d+)\.")
    return 1 + max(int(match[1]) for key in shapes if (match := layer.match(key)))


def _shape(shapes: Shapes, key: str, num_dims: int) -> tuple[int, ...]:
    name = TOWER_PREFIX + key
    if name not in shapes:
        raise WeightsError(f"the weights lack {name}")
    if len(shapes[name]) != num_dims:
        raise WeightsError(f"{name} has shape {shapes[name]}; expected {num_dims} dimensions")
    return shapes[name]
