"""Qwen-VL's sizes and positions."""

import pytest
import torch
from torch import Tensor

from contracts.errors import RequestError
from contracts.media import Clip
from llava_custom import Prompt
from runners.hub.mrope import GridVisual, prompt_positions
from runners.hub.qwen3_vl import Qwen3Clips
from runners.hub.qwen_vl import QwenClips, seconds_per_frame
from tests.runners.hub import reference
from tests.runners.hub.conftest import CheckpointOf, LoadFamily
from tests.runners.hub.families import FAMILIES, Family
from tests.runners.hub.media import clip, picture, user

QWEN = [family for family in FAMILIES if family.name.startswith("qwen")]
KINDS = {"image": 1, "video": 2}


def types_and_grids(prompt: Prompt) -> tuple[Tensor, dict[str, list[list[int]]]]:
    """Which tokens are text, picture and clip, and grids in patches, as a processor tells."""
    types: list[int] = []
    grids: dict[str, list[list[int]]] = {"image": [], "video": []}
    for segment in prompt.segments:
        if isinstance(segment, GridVisual):
            steps, rows, columns = segment.grid_thw
            grids[segment.kind].append([steps, 2 * rows, 2 * columns])
            types += [KINDS[segment.kind]] * segment.num_tokens
        elif isinstance(segment, tuple):
            types += [0] * len(segment)
    return torch.tensor([types]), grids


@pytest.mark.parametrize("family", QWEN, ids=lambda family: family.name)
@pytest.mark.parametrize("shown", [clip(2), clip(9, 90, 30), clip(4, 30, 200)])
def test_tokens_stand_where_transformers_has_them(
    family: Family, checkpoint_of: CheckpointOf, load: LoadFamily, shown: Clip
) -> None:
    messages = (user("Look:", picture(60, 40), "and", shown, "what?", picture(29, 99)),)
    prompt = load(family).plan(messages)
    types, grids = types_and_grids(prompt)
    theirs, _ = reference.load_network(checkpoint_of(family)).model.get_rope_index(
        input_ids=torch.zeros_like(types),
        mm_token_type_ids=types,
        image_grid_thw=torch.tensor(grids["image"]),
        video_grid_thw=torch.tensor(grids["video"]),
        second_per_grid_ts=torch.tensor([2 * seconds_per_frame(shown)]),
    )
    assert torch.equal(prompt_positions(prompt), theirs[:, 0])


def test_frames_of_one_moment_are_a_second_apart() -> None:
    assert seconds_per_frame(clip(1)) == 1
    assert seconds_per_frame(clip(5)) == 0.5


@pytest.mark.parametrize("family", QWEN, ids=lambda family: family.name)
def test_a_picture_that_is_too_long_is_refused(family: Family, load: LoadFamily) -> None:
    for shown in (picture(1, 201), clip(2, 201, 1)):
        with pytest.raises(RequestError, match="200 times the shorter side"):
            load(family).plan((user(shown),))


def test_old_names_of_bounds_count_before_new_ones() -> None:
    settings = {"min_pixels": 28 * 28, "size": {"shortest_edge": 9, "longest_edge": 56 * 56}}
    assert QwenClips(settings).bounds == (28 * 28, 56 * 56)
    assert QwenClips({}).bounds == (128 * 28 * 28, 768 * 28 * 28)
    assert Qwen3Clips({}).bounds == (128 * 32 * 32, 768 * 32 * 32)


def test_many_frames_share_a_budget_where_the_checkpoint_says_so() -> None:
    settings = {"cap_pixels_per_frame": True, "min_pixels": 4 * 784, "max_pixels": 999_999_999}
    capped, free = QwenClips(settings), QwenClips(settings | {"cap_pixels_per_frame": False})
    height, width = capped.size_hw(1000, (1080, 1920))
    assert free.size_hw(1000, (1080, 1920)) == (1092, 1932)
    assert height * width <= 128_000 * 784 * 0.9 * 2 / 1000


def test_the_frames_of_a_clip_share_its_bounds_in_qwen3() -> None:
    few, many = (Qwen3Clips({}).size_hw(num_frames, (1080, 1920)) for num_frames in (2, 32))
    assert 2 * few[0] * few[1] <= 768 * 32 * 32
    assert many[0] * many[1] * 16 <= few[0] * few[1] * 1.1
    assert Qwen3Clips({}).size_hw(1, (1080, 1920)) == few
    capped = Qwen3Clips({"cap_pixels_per_frame": True, "max_video_tokens": 100})
    height, width = capped.size_hw(2, (1080, 1920))
    assert height * width <= max(100, 128 * 1.05) * 32 * 32
