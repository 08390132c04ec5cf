"""LLaVA-Video step by step: planned is computed, and chunks and stops change nothing of it."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.chat import ChatMessage, Detail, ImagePart, Part, TextPart, VideoPart
from contracts.errors import RunnerError
from contracts.media import Clip, Frame, FramePolicy, Picture
from llava_custom import LoadOptions, Prompt, Stopped, VisionLanguageModel
from llava_custom.prompt import Visual
from llava_custom.vision_tower import patch_features

Load = Callable[[Mapping[str, object], LoadOptions], VisionLanguageModel]

RANDOM = np.random.default_rng(3)


def clip(num_frames: int, width: int = 80, height: int = 48) -> VideoPart:
    pixels = RANDOM.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)
    frames = tuple(Frame(rgb, float(index)) for index, rgb in enumerate(pixels))
    return VideoPart(Clip(frames, None, None, 99, width, height, "h264", 0.0, 9.0, "default"))


def picture(width: int, height: int, detail: Detail = "auto") -> ImagePart:
    rgb = RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return ImagePart(Picture(rgb, width, height, "png"), detail)


def plan(model: VisionLanguageModel, *parts: Part) -> Prompt:
    return model.plan((ChatMessage("user", parts),))


def assert_close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


def test_the_model_says_what_it_is(model: VisionLanguageModel) -> None:
    assert model.context_length == 32768
    assert model.frame_policy == FramePolicy(16, (384, 384))
    assert (model.language.hidden_size, model.vocab_size) == (64, 272)
    assert model.eos_token_ids == {256, 258}


@pytest.mark.parametrize("wh", [(384, 384), (500, 384), (30, 1), (384, 1200), (900, 790)])
@pytest.mark.parametrize("detail", ["auto", "low"])
def test_a_picture_gets_the_planned_tokens(
    model: VisionLanguageModel, wh: tuple[int, int], detail: Detail
) -> None:
    (visual,) = plan(model, picture(*wh, detail)).visuals
    assert model.encode(visual).shape == (visual.num_tokens, model.language.hidden_size)


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_a_clip_gets_the_planned_tokens(model: VisionLanguageModel, num_frames: int) -> None:
    (visual,) = plan(model, clip(num_frames)).visuals
    assert model.encode(visual).shape == (num_frames * 210, model.language.hidden_size)


def test_frames_of_the_model_s_size_keep_their_pixels(model: VisionLanguageModel) -> None:
    part = clip(1, 384, 384)
    (visual,) = plan(model, part).visuals
    pixels = torch.from_numpy(part.clip.frames[0].rgb.copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        tower = patch_features(model.network.model.vision_tower, (pixels / 255 - 0.5) / 0.5)
        features = model.network.model.multi_modal_projector(tower)
    own = Visual("image", 730, visual.pictures)
    assert_close(model.encode(own)[:-1], features[0])


@pytest.mark.parametrize("part", [clip(5), picture(800, 300)])
def test_chunks_of_the_tower_change_nothing(
    load: Load, model: VisionLanguageModel, part: Part
) -> None:
    (visual,) = plan(model, part).visuals
    in_twos = load({}, LoadOptions(vision_chunk=2))
    assert_close(in_twos.encode(visual), model.encode(visual))


def test_encoding_stops_between_chunks(load: Load) -> None:
    in_twos = load({}, LoadOptions(vision_chunk=2))
    (visual,) = plan(in_twos, clip(5)).visuals
    answers = iter([False, True])
    with pytest.raises(Stopped):
        in_twos.encode(visual, lambda: next(answers))
    assert next(answers, None) is None


def test_blocks_stand_where_their_media_do(model: VisionLanguageModel) -> None:
    prompt = plan(model, clip(1), clip(2), TextPart("Which?"))
    blocks = [torch.full((v.num_tokens, 64), float(n)) for n, v in enumerate(prompt.visuals, 10)]
    inputs_embeds = model.embed(prompt, blocks).inputs_embeds
    assert inputs_embeds.shape == (1, prompt.tokens.total, 64)
    constant = inputs_embeds[0].std(dim=1) == 0
    assert inputs_embeds[0][constant].mean(1).tolist() == [10.0] * 210 + [11.0] * 420


@pytest.mark.parametrize("num_blocks", [0, 2])
def test_a_prompt_needs_a_block_for_each_of_its_media(
    model: VisionLanguageModel, num_blocks: int
) -> None:
    with pytest.raises(RunnerError, match="visual blocks"):
        model.embed(plan(model, clip(1)), [torch.zeros(210, 64)] * num_blocks)


def test_a_block_of_another_length_than_planned_is_refused(model: VisionLanguageModel) -> None:
    (visual,) = plan(model, clip(1)).visuals
    with pytest.raises(RunnerError, match="planned 7"):
        model.encode(Visual("video", 7, visual.pictures))
