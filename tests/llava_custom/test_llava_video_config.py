from collections.abc import Mapping

import pytest

from contracts.errors import WeightsError
from llava_custom.llava_video_config import parse_config

Config = Mapping[str, object]
ALL_CANVASES = tuple((384 * i, 384 * j) for i in range(1, 7) for j in range(1, 7))

REFUSED: list[tuple[str, object]] = [
    ("add_faster_video", True),
    ("eos_token_id", "258"),
    ("hidden_act", "sigh"),
    ("hidden_size", "64"),
    ("image_aspect_ratio", "anyres_max_0"),
    ("image_aspect_ratio", "highres"),
    ("image_grid_pinpoints", "six by six"),
    ("image_grid_pinpoints", "[[384,"),
    ("image_grid_pinpoints", [384, 768]),
    ("image_grid_pinpoints", [[384, 500]]),
    ("image_grid_pinpoints", []),
    ("image_grid_pinpoints", None),
    ("max_position_embeddings", 0),
    ("mm_newline_position", "row"),
    ("mm_patch_merge_type", "flat"),
    ("mm_patch_merge_type", None),
    ("mm_projector_type", "mlp_downsample"),
    ("mm_projector_type", None),
    ("mm_resampler_type", "perceiver"),
    ("mm_spatial_pool_mode", "median"),
    ("mm_spatial_pool_stride", 4),
    ("mm_use_im_start_end", True),
    ("mm_vision_num_attention_heads", -1),
    ("mm_vision_tower", "openai/clip-vit-large"),
    ("mm_vision_tower", "siglip-patch384-14"),
    ("mm_vision_tower", None),
    ("num_attention_heads", 5),
    ("num_hidden_layers", None),
    ("num_key_value_heads", 3),
    ("num_video_frames", True),
    ("rms_norm_eps", None),
    ("rope_theta", "1e6"),
    ("use_sliding_window", True),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_what_is_not_supported_is_refused_by_its_key(
    tiny_config: Config, key: str, value: object
) -> None:
    with pytest.raises(WeightsError, match=f"^{key} is "):
        parse_config({**tiny_config, key: value})


def test_the_tiny_checkpoint_is_read(tiny_config: Config) -> None:
    config = parse_config(tiny_config)
    assert (config.image_size_px, config.patch_size_px, config.patches_per_side) == (384, 14, 27)
    assert (config.image_mode, config.max_tiles, config.newline) == ("tiles", 9, "grid")
    assert config.canvases_wh == ALL_CANVASES
    assert config.eos_token_ids == {258}


def test_what_is_absent_is_what_the_original_assumes(tiny_config: Config) -> None:
    optional = ("mm_newline_position", "mm_spatial_pool_mode", "tokenizer_model_max_length")
    config = parse_config({k: v for k, v in tiny_config.items() if k not in optional})
    assert (config.newline, config.pool_mode) == ("one_token", "bilinear")
    assert (config.num_frames, config.num_vision_heads) == (16, 16)
    assert config.context_length == 32768


@pytest.mark.parametrize(
    ("key", "value", "attribute", "expected"),
    [
        ("num_video_frames", 4, "num_frames", 4),
        ("mm_vision_num_attention_heads", 2, "num_vision_heads", 2),
        ("tokenizer_model_max_length", 1000, "context_length", 1000),
        ("max_position_embeddings", 500, "context_length", 500),
        ("eos_token_id", [256, 258], "eos_token_ids", {256, 258}),
        ("model_type", "llava", "patch_size_px", 14),
    ],
)
def test_what_the_config_says_counts(
    tiny_config: Config, key: str, value: object, attribute: str, expected: object
) -> None:
    assert getattr(parse_config({**tiny_config, key: value}), attribute) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ("squash", None)),
        ("square", ("squash", None)),
        ("pad", ("pad", None)),
        ("anyres", ("tiles", None)),
        ("anyres_max_12", ("tiles", 12)),
    ],
)
def test_a_picture_is_shown_as_the_config_says(
    tiny_config: Config, value: object, expected: tuple[str, int | None]
) -> None:
    config = parse_config({**tiny_config, "image_aspect_ratio": value})
    assert (config.image_mode, config.max_tiles) == expected


@pytest.mark.parametrize(
    "value",
    ["(1x1),...,(6x6)", str([list(wh) for wh in ALL_CANVASES]), [list(wh) for wh in ALL_CANVASES]],
)
def test_pinpoints_have_three_forms(tiny_config: Config, value: object) -> None:
    config = parse_config({**tiny_config, "image_grid_pinpoints": value})
    assert config.canvases_wh == ALL_CANVASES
