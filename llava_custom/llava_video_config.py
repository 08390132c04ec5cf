"""What a LLaVA-Video config.json says, checked: whatever this program cannot run is refused by key.

Knows nothing of tensors; ``checkpoint`` compares this with the shapes in the weight files.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from contracts.errors import WeightsError

PoolMode = Literal["bilinear", "average", "max"]
Newline = Literal["grid", "frame", "one_token", "no_token"]
ImageMode = Literal["tiles", "pad", "squash"]

ARCHITECTURE = "LlavaQwenForCausalLM"
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
TEXT_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
DIVISORS = (("num_attention_heads", "hidden_size"), ("num_key_value_heads", "num_attention_heads"))
TEXT_NUMBERS = ("rms_norm_eps", "rope_theta")
TEXT_OPTIONS = ("tie_word_embeddings", "bos_token_id", "eos_token_id")


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
    _check_architecture(config)
    _check_supported(config)
    image_size_px, patch_size_px = _tower_sizes(config)
    image_mode, max_tiles = _image_mode(config)
    return LlavaVideoConfig(
        text=_text_options(config),
        image_size_px=image_size_px,
        patch_size_px=patch_size_px,
        num_vision_heads=_size(config, "mm_vision_num_attention_heads", SIGLIP_SO400M_NUM_HEADS),
        image_mode=image_mode,
        max_tiles=max_tiles,
        canvases_wh=_canvases(config, image_size_px) if image_mode == "tiles" else (),
        pool_mode=cast(PoolMode, config.get("mm_spatial_pool_mode") or "bilinear"),
        newline=cast(Newline, config.get("mm_newline_position") or "one_token"),
        num_frames=_size(config, "num_video_frames", DEFAULT_NUM_FRAMES),
        context_length=_context_length(config),
        eos_token_ids=token_ids(config, "eos_token_id"),
    )


def token_ids(config: Mapping[str, object], key: str) -> frozenset[int]:
    """The token ids under a key that holds one id, a list of them, or nothing."""
    value = config.get(key)
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(token_id, int) for token_id in ids):
        raise WeightsError(f"{key} is {value!r}; expected a token id or a list of them")
    return frozenset(ids)


def _check_architecture(config: Mapping[str, object]) -> None:
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    if ARCHITECTURE in names:
        return
    raise WeightsError(
        f"architectures is {architectures!r}; expected [{ARCHITECTURE!r}]. {_advice(config, names)}"
    )


def _advice(config: Mapping[str, object], names: list[object]) -> str:
    if config.get("image_encoder") or config.get("video_encoder") or config.get("dynamic_s2"):
        return "This looks like NVILA, which is not supported."
    if "LlavaLlamaModel" in names:
        return "This looks like VILA, which is not supported."
    if "LlavaOnevisionForConditionalGeneration" in names:
        return "This is a converted checkpoint; take the original one, as lmms-lab publishes it."
    return "Supported are LLaVA-Video checkpoints in their original layout."


def _check_supported(config: Mapping[str, object]) -> None:
    for key, expected in REQUIRED.items():
        if config.get(key) != expected:
            raise WeightsError(f"{key} is {config.get(key)!r}; supported: {expected!r}")
    for key, allowed in SUPPORTED.items():
        value = config.get(key)
        if value is not None and value not in allowed:
            raise WeightsError(f"{key} is {value!r}; supported: {_listed(allowed)}")
    if config.get("mm_resampler_type"):
        raise WeightsError(
            f"mm_resampler_type is {config['mm_resampler_type']!r}; supported: none at all"
        )


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(repr(value) for value in values)


def _size(config: Mapping[str, object], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise WeightsError(f"{key} is {value!r}; expected a whole number above 0")
    return value


def _text_options(config: Mapping[str, object]) -> Mapping[str, object]:
    sizes = {key: _size(config, key) for key in TEXT_SIZES}
    numbers: dict[str, object] = {}
    for key in TEXT_NUMBERS:
        value = config.get(key)
        if not isinstance(value, int | float) or value <= 0:
            raise WeightsError(f"{key} is {value!r}; expected a number above 0")
        numbers[key] = float(value)
    for part, whole in DIVISORS:
        if sizes[whole] % sizes[part]:
            raise WeightsError(f"{part} is {sizes[part]}; it has to divide {whole} {sizes[whole]}")
    options = {key: config[key] for key in TEXT_OPTIONS if config.get(key) is not None}
    return {**sizes, **numbers, "tie_word_embeddings": False, **options}


def _context_length(config: Mapping[str, object]) -> int:
    positions = _size(config, "max_position_embeddings")
    return min(positions, _size(config, "tokenizer_model_max_length", positions))


def _tower_sizes(config: Mapping[str, object]) -> tuple[int, int]:
    name = config.get("mm_vision_tower")
    match = re.search(r"patch(\d+)-(\d+)$", name) if isinstance(name, str) else None
    if match is None:
        raise WeightsError(f"mm_vision_tower is {name!r}; expected a name like ...patch14-384")
    patch_size_px, image_size_px = int(match[1]), int(match[2])
    if not 0 < patch_size_px <= image_size_px:
        raise WeightsError(f"mm_vision_tower is {name!r}; its patches do not fit in its picture")
    return image_size_px, patch_size_px


def _image_mode(config: Mapping[str, object]) -> tuple[ImageMode, int | None]:
    value = config.get("image_aspect_ratio")
    if value is None or value == "square":
        return "squash", None
    if value == "pad":
        return "pad", None
    match = re.fullmatch(r"anyres(?:_max_([1-9]\d*))?", value) if isinstance(value, str) else None
    if match is None:
        raise WeightsError(
            f"image_aspect_ratio is {value!r}; supported: anyres, anyres_max_<n>, pad, square"
        )
    return "tiles", int(match[1]) if match[1] else None


def _canvases(config: Mapping[str, object], tile_px: int) -> tuple[tuple[int, int], ...]:
    value = config.get("image_grid_pinpoints")
    pairs = _pairs(value, tile_px)
    if not pairs or any(n < tile_px or n % tile_px for pair in pairs for n in pair):
        raise WeightsError(
            f"image_grid_pinpoints is {str(value)[:80]}; expected (1x1),...,(6x6) or a list of "
            f"[width, height] in multiples of {tile_px}"
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
