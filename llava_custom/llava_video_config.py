"""What a LLaVA-Video config.json says, checked: whatever this program cannot run is refused by key.

Knows nothing of tensors; ``llava_video_weights`` compares this with the shapes in the files.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from llava_custom.config_fields import ConfigFields
from llava_custom.text_config import context_length, text_options

PoolMode = Literal["bilinear", "average", "max"]
Newline = Literal["grid", "frame", "one_token", "no_token"]
ImageMode = Literal["tiles", "pad", "squash"]

DEFAULT_NUM_FRAMES = 16
SIGLIP_SO400M_NUM_HEADS = 16

# The first value is what the original's code assumes where the key is absent or null.
SUPPORTED: Mapping[str, tuple[object, ...]] = {
    "mm_spatial_pool_mode": ("bilinear", "average", "max"),
    "mm_newline_position": ("one_token", "grid", "frame", "no_token"),
    "mm_spatial_pool_stride": (2,),
    "add_faster_video": (False,),
    "use_sliding_window": (False,),
    "mm_use_im_start_end": (False,),
    "hidden_act": ("silu",),
}
REQUIRED: Mapping[str, str] = {
    "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "spatial_unpad",
}


@dataclass(frozen=True, slots=True)
class LlavaVideoConfig:
    """A LLaVA-Video checkpoint that this program can run.

    Attributes:
        text: Keyword arguments of transformers' ``Qwen2Config``.
        image_size_px: Side of the square that the vision tower takes.
        patch_size_px: Side of one patch of it.
        num_vision_heads: Attention heads of the vision tower.
        image_mode: How a single picture is shown: in tiles, padded to a square, or squashed.
        max_tiles: Tiles' worth of tokens above which the tile grid is shrunk; ``None``: never.
        canvases_wh: Sizes of tile canvases in pixels, in the checkpoint's order.
        pool_mode: How the patches of a frame are pooled.
        newline: Where the learned newline stands in a clip.
        num_frames: Frames of a clip when nobody says.
        context_length: Tokens of prompt and answer together.
        eos_token_ids: Tokens that end an answer.
    """

    text: Mapping[str, object]
    image_size_px: int
    patch_size_px: int
    num_vision_heads: int
    image_mode: ImageMode
    max_tiles: int | None
    canvases_wh: tuple[tuple[int, int], ...]
    pool_mode: PoolMode
    newline: Newline
    num_frames: int
    context_length: int
    eos_token_ids: frozenset[int]

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of the tower's square; a remainder of pixels is not seen."""
        return self.image_size_px // self.patch_size_px


def parse_config(config: Mapping[str, object]) -> LlavaVideoConfig:
    """Check the content of a config.json.

    Raises:
        WeightsError: Names the key, what it holds and what is supported.

    Source: LLAVA.md 1.1; LLaVA-NeXT llava/train/train.py @ df179663 for the defaults.
    """
    fields = ConfigFields(config)
    fields.require(REQUIRED)
    fields.check(SUPPORTED)
    if config.get("mm_resampler_type"):
        raise fields.refusal("mm_resampler_type", "supported: none at all")
    image_size_px, patch_size_px = _tower_sizes(fields)
    image_mode, max_tiles = _image_mode(fields)
    return LlavaVideoConfig(
        text=text_options(fields),
        image_size_px=image_size_px,
        patch_size_px=patch_size_px,
        num_vision_heads=fields.size("mm_vision_num_attention_heads", SIGLIP_SO400M_NUM_HEADS),
        image_mode=image_mode,
        max_tiles=max_tiles,
        canvases_wh=_canvases(fields, image_size_px) if image_mode == "tiles" else (),
        pool_mode=cast(PoolMode, config.get("mm_spatial_pool_mode") or "bilinear"),
        newline=cast(Newline, config.get("mm_newline_position") or "one_token"),
        num_frames=fields.size("num_video_frames", DEFAULT_NUM_FRAMES),
        context_length=context_length(fields),
        eos_token_ids=fields.token_ids("eos_token_id"),
    )


def _tower_sizes(fields: ConfigFields) -> tuple[int, int]:
    name = fields.values.get("mm_vision_tower")
    match = re.search(r"patch(\d+)-(\d+)$", name) if isinstance(name, str) else None
    if match is None:
        raise fields.refusal("mm_vision_tower", "expected a name like ...patch14-384")
    patch_size_px, image_size_px = int(match[1]), int(match[2])
    if not 0 < patch_size_px <= image_size_px:
        raise fields.refusal("mm_vision_tower", "its patches do not fit in its picture")
    return image_size_px, patch_size_px


def _image_mode(fields: ConfigFields) -> tuple[ImageMode, int | None]:
    value = fields.values.get("image_aspect_ratio")
    if value is None or value == "square":
        return "squash", None
    if value == "pad":
        return "pad", None
    match = re.fullmatch(r"anyres(?:_max_([1-9]\d*))?", value) if isinstance(value, str) else None
    if match is None:
        message = "supported: anyres, anyres_max_<n>, pad, square"
        raise fields.refusal("image_aspect_ratio", message)
    return "tiles", int(match[1]) if match[1] else None


def _canvases(fields: ConfigFields, tile_px: int) -> tuple[tuple[int, int], ...]:
    pairs = _pairs(fields.values.get("image_grid_pinpoints"), tile_px)
    if not pairs or any(n < tile_px or n % tile_px for pair in pairs for n in pair):
        raise fields.refusal(
            "image_grid_pinpoints",
            f"expected (1x1),...,(6x6) or a list of [width, height] in multiples of {tile_px}",
        )
    return pairs


def _pairs(value: object, tile_px: int) -> tuple[tuple[int, int], ...]:
    """The pairs of pinpoints in any of their three forms; nothing where it is none of them."""
    if isinstance(value, str):
        corners = [(int(w), int(h)) for w, h in re.findall(r"\((\d+)x(\d+)\)", value)]
        if corners:
            return _between(corners[0], corners[-1], tile_px)
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return ()
    if not isinstance(value, list | tuple) or not all(_is_pair(pair) for pair in value):
        return ()
    return tuple((width, height) for width, height in value)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and [type(n) for n in value] == [int, int]


def _between(
    first: tuple[int, int], last: tuple[int, int], tile_px: int
) -> tuple[tuple[int, int], ...]:
    columns, rows = range(first[0], last[0] + 1), range(first[1], last[1] + 1)
    return tuple((i * tile_px, j * tile_px) for i in columns for j in rows)
