"""Every reference vector of the original code, reproduced."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.media import Clip, Frame, Picture
from llava_custom import LoadOptions, Prompt, VisionLanguageModel, Visual
from llava_custom.llava_video_blocks import pool_frames
from llava_custom.llava_video_chat import TURN_BEGINS, TURN_ENDS
from llava_custom.preprocess import crop_views, to_pixel_values
from llava_custom.prompt_tokenizer import Piece
from llava_custom.vision_tower import patch_features

Golden = Mapping[str, Tensor]
Load = Callable[[Mapping[str, object], LoadOptions], VisionLanguageModel]

PLACEHOLDER_ID = -200
PIXELS, FEATURES, LOGITS = 1e-6, 1e-4, 1e-4
EOS_IDS = {256, 258}
CHANGES: Mapping[str, Mapping[str, object]] = {
    "video_grid": {},
    "video_one_token": {"mm_newline_position": "one_token"},
    "image_anyres": {},
    "multi_image_pad": {"image_aspect_ratio": "pad"},
    "text_only": {},
}
WITH_MEDIA = [case for case in CHANGES if case != "text_only"]
VIDEOS = ["video_grid", "video_one_token"]


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def options(request: pytest.FixtureRequest) -> LoadOptions:
    return LoadOptions(attention=request.param)


@pytest.fixture
def vectors(case: str, golden: Callable[[str], Golden]) -> Golden:
    return golden(case)


@pytest.fixture
def model(case: str, options: LoadOptions, load: Load) -> VisionLanguageModel:
    return load(CHANGES[case], options)


@pytest.fixture
def prompt(
    case: str, model: VisionLanguageModel, vectors: Golden, cases: Mapping[str, Any]
) -> Prompt:
    if case == "text_only":
        return Prompt((tuple(vectors["input_ids"].tolist()),))
    visuals = model.plan((ChatMessage("user", tuple(media(vectors))),)).visuals
    return model.prompt_tokenizer.tokenize(pieces(cases[case]["prompt"], visuals))


@dataclass(frozen=True)
class Reading:
    """A case's prompt, encoded and read by one model; ``kv_cache`` is to be copied before use."""

    blocks: list[Tensor]
    inputs_embeds: Tensor
    hidden: Tensor
    kv_cache: DynamicCache


@pytest.fixture(scope="module")
def readings() -> dict[tuple[int, str], Reading]:
    return {}


@pytest.fixture
def reading(
    case: str, model: VisionLanguageModel, prompt: Prompt, readings: dict[tuple[int, str], Reading]
) -> Reading:
    """What a model makes of a case, computed once."""
    key = (id(model), case)
    if key not in readings:
        blocks = [model.encode(visual) for visual in prompt.visuals]
        inputs_embeds = model.embed(prompt, blocks).inputs_embeds
        kv_cache = model.new_kv_cache()
        hidden = model.language.hidden_states(inputs_embeds, kv_cache)
        readings[key] = Reading(blocks, inputs_embeds, hidden, kv_cache)
    return readings[key]


def media(vectors: Golden) -> Iterator[ImagePart | VideoPart]:
    """The pictures or the clip of a case, as a client's request holds them."""
    if "frames" in vectors:
        frames = tuple(
            Frame(rgb.numpy(), index * 1.37) for index, rgb in enumerate(vectors["frames"])
        )
        yield VideoPart(Clip(frames, 10.96, 30.0, 329, 80, 48, "h264", 0.0, 10.96, "num_frames"))
    for key in ("image", "image0", "image1"):
        if key in vectors:
            rgb = vectors[key].numpy()
            yield ImagePart(Picture(rgb, rgb.shape[1], rgb.shape[0], "png"))


def pieces(prompt: str, visuals: Iterable[Visual]) -> Iterator[Piece]:
    """A prompt in the original's notation: control tokens in the text, ``<image>`` for media."""
    remaining = iter(visuals)
    controls = {control.token: control for control in (TURN_BEGINS, TURN_ENDS)}
    for text in re.split(r"(<image>|<\|im_start\|>|<\|im_end\|>)", prompt):
        yield next(remaining) if text == "<image>" else controls.get(text, text)


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(ours.float(), theirs, rtol=0, atol=tolerance)


def penalised(logits: Tensor, used: list[int], penalty: float) -> Tensor:
    """Logits (1, V) with those of used tokens brought down, as ``generate`` does it."""
    scores = logits.clone()
    seen = torch.tensor(sorted(set(used)), dtype=torch.int64)
    scores[0, seen] = torch.where(
        scores[0, seen] < 0, scores[0, seen] * penalty, scores[0, seen] / penalty
    )
    return scores


def greedy(
    model: VisionLanguageModel, reading: Reading, num_tokens: int, penalty: float
) -> list[int]:
    kv_cache = deepcopy(reading.kv_cache)
    logits = model.language.logits(reading.hidden[:, -1])
    token_ids: list[int] = []
    while len(token_ids) < num_tokens:
        chosen = penalised(logits, token_ids, penalty).argmax(-1)
        token_ids.append(int(chosen))
        if token_ids[-1] in EOS_IDS:
            break
        position = torch.tensor([kv_cache.get_seq_length()])
        logits = model.decode_step(chosen, position, kv_cache)
    return token_ids


@pytest.mark.parametrize("case", WITH_MEDIA)
def test_the_prompt_has_the_ids_of_the_original(prompt: Prompt, vectors: Golden) -> None:
    ids = [
        token_id
        for segment in prompt.segments
        for token_id in ([PLACEHOLDER_ID] if isinstance(segment, Visual) else segment)
    ]
    assert ids == vectors["input_ids"].tolist()


@pytest.mark.parametrize("case", WITH_MEDIA)
def test_the_prompt_is_as_long_as_the_original_s(
    case: str, prompt: Prompt, cases: Mapping[str, Any]
) -> None:
    assert prompt.tokens.total == cases[case]["seq_len"]
    if "num_visual_tokens" in cases[case]:
        assert prompt.visuals[0].num_tokens == cases[case]["num_visual_tokens"]


@pytest.mark.parametrize("case", ["image_anyres", "multi_image_pad"])
def test_the_template_is_the_original_s(
    case: str, model: VisionLanguageModel, vectors: Golden, cases: Mapping[str, Any], prompt: Prompt
) -> None:
    text = cases[case]["prompt"].rsplit("<image>\n", 1)[1].split("<|im_end|>")[0]
    planned = model.plan((ChatMessage("user", (*media(vectors), TextPart(text))),))
    runs = [segment for segment in prompt.segments if isinstance(segment, tuple)]
    assert [segment for segment in planned.segments if isinstance(segment, tuple)] == runs


@pytest.mark.parametrize("case", ["video_grid"])
def test_a_clip_s_template_is_the_original_s_but_for_a_newline(
    model: VisionLanguageModel, vectors: Golden, prompt: Prompt
) -> None:
    text = TextPart("Please describe this video in detail.")
    planned = model.plan((ChatMessage("user", (*media(vectors), text)),))
    before, _, after = planned.segments
    assert isinstance(after, tuple)
    newline = model.prompt_tokenizer.tokenize(["\n"]).segments[0]
    assert (before, after) == (prompt.segments[0], (*newline, *prompt.segments[2]))  # type: ignore[misc]


@pytest.mark.parametrize("case", WITH_MEDIA)
def test_pixels_are_the_original_s(prompt: Prompt, vectors: Golden) -> None:
    ours = torch.cat(
        [
            to_pixel_values([view.pixels() for view in crop_views(v)], size_px=384)
            for v in prompt.visuals
        ]
    )
    key = "image_crops_s16" if "image_crops_s16" in vectors else "pixel_values_s16"
    if key in vectors:
        assert_close(ours[:, :, ::16, ::16], vectors[key], PIXELS)
    assert ours.abs().max() <= 1


@pytest.mark.parametrize("case", ["video_grid"])
def test_the_tower_the_projector_and_the_pool_are_the_original_s(
    model: VisionLanguageModel, prompt: Prompt, vectors: Golden
) -> None:
    first = crop_views(prompt.visuals[0])[0].pixels()
    pixel_values = to_pixel_values([first], size_px=384)
    with torch.inference_mode():
        tower = patch_features(model.network.model.vision_tower, pixel_values)
        projected = model.network.model.multi_modal_projector(tower)
        pooled = pool_frames(projected, "bilinear")
    assert_close(tower[0], vectors["vision_tower_frame0"], FEATURES)
    assert_close(projected[0], vectors["projector_frame0"], FEATURES)
    assert_close(pooled[0].flatten(0, 1), vectors["pooled_frame0"], FEATURES)


@pytest.mark.parametrize("case", [*VIDEOS, "image_anyres"])
def test_visual_blocks_are_the_original_s(reading: Reading, vectors: Golden) -> None:
    block = reading.blocks[0]
    assert_close(block[vectors["vision_feature_rows"]], vectors["vision_features"], FEATURES)
    assert_close(block.sum(-1), vectors["vision_features_rowsum"], FEATURES)


@pytest.mark.parametrize("case", [*VIDEOS, "image_anyres"])
def test_text_is_embedded_around_the_block(reading: Reading, vectors: Golden) -> None:
    inputs_embeds = reading.inputs_embeds[0]
    before, after = vectors["text_embeds_before"], vectors["text_embeds_after"]
    assert_close(inputs_embeds[: len(before)], before, 0)
    assert_close(inputs_embeds[-len(after) :], after, 0)


@pytest.mark.parametrize("case", ["multi_image_pad"])
def test_several_pictures_are_embedded_in_their_places(reading: Reading, vectors: Golden) -> None:
    assert_close(reading.inputs_embeds[0, ::4], vectors["inputs_embeds_s4"], FEATURES)


@pytest.mark.parametrize("case", CHANGES)
def test_logits_are_the_original_s(
    model: VisionLanguageModel, reading: Reading, vectors: Golden
) -> None:
    hidden = reading.hidden[0]
    positions = vectors.get("logits_positions", torch.arange(len(hidden)))
    assert_close(model.language.logits(hidden[positions]), vectors["logits"], LOGITS)


@pytest.mark.parametrize("case", [*VIDEOS, "image_anyres"])
@pytest.mark.parametrize(
    ("key", "penalty"), [("greedy_new_tokens", 1.0), ("greedy_new_tokens_rep105", 1.05)]
)
def test_greedy_answers_are_the_original_s(
    model: VisionLanguageModel, reading: Reading, vectors: Golden, key: str, penalty: float
) -> None:
    expected = vectors[key].tolist()
    assert greedy(model, reading, len(expected), penalty) == expected
