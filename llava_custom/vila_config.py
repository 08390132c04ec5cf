"""What the four config.json of a VILA1.5 checkpoint say, checked: what cannot be run is refused.

Only the files of the folders count: ``llm_cfg`` and its like in the root repeat them, and where
``resume_path`` and ``_name_or_path`` point is never looked at.

Source: LLAVA.md 3.1; llava/model of VILA, branch vila1.5 @ 6b941da1, for the defaults.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llava_custom.config_fields import ConfigFields
from llava_custom.text_config import context_length, text_options
from llava_custom.vila_projector import TokenOrder, num_tokens

ReadJson = Callable[[str], Mapping[str, object]]

LLM, TOWER, PROJECTOR = "llm/", "vision_tower/", "mm_projector/"
DEFAULT_NUM_FRAMES = 8
# One switch: see TokenOrder. To be confirmed once with the real weights.
TOKEN_ORDERS: Mapping[str, TokenOrder] = {"mlp_downsample": "column_major"}

NVILA = "this is NVILA, which is not supported; take a VILA1.5 checkpoint"
SCALES = "pictures at several scales are not supported; take a checkpoint like VILA1.5-3b"
REFUSED: Mapping[str, str] = {
    "dynamic_s2": NVILA,
    "image_encoder": NVILA,
    "video_encoder": NVILA,
    "s2": SCALES,
    "ps3": SCALES,
}
# The first value is what the original's code assumes where the key is absent or null.
SUPPORTED: Mapping[str, tuple[object, ...]] = {
    "image_aspect_ratio": ("resize",),
    "mm_vision_select_layer": (-2,),
    "mm_use_im_start_end": (False,),
    "mm_use_im_patch_token": (False,),
    "vision_resolution": (-1,),
}
SUPPORTED_TEXT: Mapping[str, tuple[object, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "pretraining_tp": (1,),
}
REQUIRED_TOWER: Mapping[str, object] = {
    "architectures": ["SiglipVisionModel"],
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "num_channels": 3,
}
REQUIRED_PIXELS: Mapping[str, object] = {
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,  # bicubic
}
TOWER_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "image_size",
    "patch_size",
)


@dataclass(frozen=True, slots=True)
class VilaConfig:
    """A VILA1.5 checkpoint that this program can run.

    Attributes:
        text: Keyword arguments of transformers' ``LlamaConfig``.
        tower: Keyword arguments of ``SiglipVisionConfig``, for the tower as it is in the file.
        image_size_px: Side of the square that the vision tower takes.
        num_tower_layers: Of its layers those that are used: all but the last.
        tokens_per_picture: Of an image or a frame.
        token_order: Of a picture's tokens.
        num_frames: Frames of a clip when nobody says.
        context_length: Tokens of prompt and answer together.
        eos_token_ids: Tokens that end an answer.
    """

    text: Mapping[str, object]
    tower: Mapping[str, int]
    image_size_px: int
    num_tower_layers: int
    tokens_per_picture: int
    token_order: TokenOrder
    num_frames: int
    context_length: int
    eos_token_ids: frozenset[int]


def parse_config(read: ReadJson) -> VilaConfig:
    """Check the configuration of a checkpoint.

    Args:
        read: The content of a JSON file of the checkpoint, by its path there.

    Raises:
        WeightsError: Names the file and the key, what it holds and what is supported.
    """
    root = ConfigFields(read("config.json"))
    _check_root(root)
    text = _text_fields(read)
    tower = _tower_sizes(read)
    return VilaConfig(
        text=text_options(text),
        tower=tower,
        image_size_px=tower["image_size"],
        num_tower_layers=tower["num_hidden_layers"] - 1,
        tokens_per_picture=num_tokens(tower["image_size"] // tower["patch_size"]),
        token_order=_token_order(read),
        num_frames=root.size("num_video_frames", DEFAULT_NUM_FRAMES),
        context_length=context_length(text),
        eos_token_ids=text.token_ids("eos_token_id"),
    )


def _check_root(fields: ConfigFields) -> None:
    for key, reason in REFUSED.items():
        if fields.values.get(key):
            raise fields.refusal(key, reason)
    # Its value keeps every token of the tower; SigLIP has no class token to drop.
    fields.require({"mm_vision_select_feature": "cls_patch"})
    fields.check(SUPPORTED)


def _text_fields(read: ReadJson) -> ConfigFields:
    fields = ConfigFields(read(f"{LLM}config.json"), f"{LLM}config.json")
    if fields.values.get("architectures") == ["Qwen2ForCausalLM"]:
        raise fields.refusal("architectures", NVILA)
    fields.require({"architectures": ["LlamaForCausalLM"]})
    fields.check(SUPPORTED_TEXT)
    if fields.values.get("rope_scaling") is not None:
        raise fields.refusal("rope_scaling", "supported: none at all")
    return fields


def _tower_sizes(read: ReadJson) -> dict[str, int]:
    fields = ConfigFields(read(f"{TOWER}config.json"), f"{TOWER}config.json")
    fields.require(REQUIRED_TOWER)
    sizes = {key: fields.size(key) for key in TOWER_SIZES}
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        raise fields.refusal("num_attention_heads", f"it has to divide {sizes['hidden_size']}")
    size_px = sizes["image_size"]
    if sizes["patch_size"] > size_px:
        raise fields.refusal("patch_size", f"its picture has {size_px} px; expected no more")
    name = f"{TOWER}preprocessor_config.json"
    square = {"height": size_px, "width": size_px}
    ConfigFields(read(name), name).require({**REQUIRED_PIXELS, "size": square})
    return sizes


def _token_order(read: ReadJson) -> TokenOrder:
    fields = ConfigFields(read(f"{PROJECTOR}config.json"), f"{PROJECTOR}config.json")
    name = fields.values.get("mm_projector_type")
    if not isinstance(name, str) or name not in TOKEN_ORDERS:
        raise fields.refusal("mm_projector_type", f"supported: {', '.join(TOKEN_ORDERS)}")
    return TOKEN_ORDERS[name]
