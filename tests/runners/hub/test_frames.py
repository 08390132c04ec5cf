"""Frames become the pixels that transformers' video processors make of them, bit by bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from contracts.errors import WeightsError
from runners.hub.frames import CLIP_MEAN, CLIP_STD, HALF, FrameScale
from runners.hub.qwen3_vl import Qwen3Clips
from runners.hub.qwen_vl import QwenClips
from tests.runners.hub.media import clip
from tests.runners.hub.reference import RECORDED

FRAMES = tuple(frame.rgb for frame in clip().frames)
SETTINGS = {"min_pixels": 28 * 56, "max_pixels": 6 * 56 * 56}
SETTINGS_3 = {"size": {"longest_edge": 40 * 32 * 32, "shortest_edge": 8 * 32 * 32}}


def squared() -> Tensor:
    settings = {"image_mean": HALF, "image_std": HALF, "rescale_factor": 0.00392156862745098}
    scale = FrameScale.of(settings, mean=CLIP_MEAN, std=CLIP_STD)
    return scale.pixel_values(FRAMES, (28, 28))[None]


def patches(clips: QwenClips) -> Tensor:
    return clips.patches(clips.sizes.steps(FRAMES), clips.grid_hw(FRAMES))


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("llava_onevision", squared),
        ("qwen2_vl", lambda: patches(QwenClips(SETTINGS))),
        ("qwen2_5_vl", lambda: patches(QwenClips(SETTINGS))),
        ("qwen3_vl", lambda: patches(Qwen3Clips(SETTINGS_3))),
    ],
)
def test_pixels_are_those_that_were_recorded(name: str, compute: Callable[[], Tensor]) -> None:
    recorded = load_file(RECORDED / f"{name}.safetensors")["pixel_values_videos"]
    torch.testing.assert_close(compute(), recorded, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [{"do_resize": False}, {"resample": 5}])
def test_steps_that_are_not_known_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="of the video processor"):
        FrameScale.of(settings, mean=HALF, std=HALF)
