"""Every reference vector of the original VILA1.5 code, reproduced."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage, ImagePart, Part, TextPart, VideoPart
from contracts.media import Clip, Frame, Picture
from llava_custom import Embedded, LoadOptions, Prompt, VisionLanguageModel, Visual
from llava_custom.preprocess import crop_views, to_pixel_values
from llava_custom.prompt_tokenizer import Piece
from llava_custom.vila_chat import PROMPT_BEGINS
from llava_custom.vila_projector import merge_patches
from llava_custom.vision_tower import patch_features

Golden = Mapping[str, Tensor]

PLACEHOLDER_ID = -200
PIXELS, FEATURES, LOGITS = 1e-6, 1e-4, 1e-4
CASES = ["video8", "image"]


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(
    request: pytest.FixtureRequest, load_vila: Callable[[LoadOptions], VisionLanguageModel]
) -> VisionLanguageModel:
    return load_vila(LoadOptions(attention=request.param))


@dataclass(frozen=True)
class Reading:
    """A case as one model reads it; ``kv_cache`` is to be copied before use."""

    model: VisionLanguageModel
    vectors: Golden
    prompt: Prompt
    blocks: list[Tensor]
    embedded: Embedded
    hidden: Tensor
    kv_cache: DynamicCache


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def reading(
    case: str,
    model: VisionLanguageModel,
    vila_golden: Callable[[str], Golden],
    vila_cases: Mapping[str, Any],
) -> Reading:
    vectors = vila_golden(case)
    message = ChatMessage("user", (media(vectors), TextPart(question(vila_cases[case]["prompt"]))))
    prompt = model.plan((message,))
    blocks = [model.encode(visual) for visual in prompt.visuals]
    embedded, kv_cache = model.embed(prompt, blocks), model.new_kv_cache()
    hidden = model.language.hidden_states(embedded.inputs_embeds, kv_cache)[0]
    return Reading(model, vectors, prompt, blocks, embedded, hidden, kv_cache)


def media(vectors: Golden) -> Part:
    """The picture or the clip of a case, as a client's request holds it."""
    if "frames" in vectors:
        frames = tuple(
            Frame(rgb.numpy(), float(index)) for index, rgb in enumerate(vectors["frames"])
        )
        return VideoPart(Clip(frames, 8.0, 1.0, 8, 80, 48, "h264", 0.0, 8.0, "num_frames"))
    rgb = vectors["image"].numpy()
    return ImagePart(Picture(rgb, rgb.shape[1], rgb.shape[0], "png"))


def question(prompt: str) -> str:
    return prompt.rsplit("<image>\n", 1)[1].removesuffix(" ASSISTANT:")


def pieces(prompt: str, visuals: Iterable[Visual]) -> Iterator[Piece]:
    """A prompt in the original's notation, ``<image>`` for media."""
    remaining = iter(visuals)
    yield PROMPT_BEGINS
    for text in re.split(r"(<image>)", prompt):
        yield next(remaining) if text == "<image>" else text


def original_ids(prompt: Prompt) -> list[int]:
    return [
        token_id
        for segment in prompt.segments
        for token_id in ([PLACEHOLDER_ID] if isinstance(segment, Visual) else segment)
    ]


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(ours.float(), theirs, rtol=0, atol=tolerance)


def test_the_template_and_its_ids_are_the_original_s(
    case: str, reading: Reading, vila_cases: Mapping[str, Any]
) -> None:
    assert original_ids(reading.prompt) == reading.vectors["input_ids"].tolist()
    spelled = pieces(vila_cases[case]["prompt"], reading.prompt.visuals)
    assert reading.model.prompt_tokenizer.tokenize(spelled).segments == reading.prompt.segments


def test_the_prompt_is_as_long_as_the_original_s(
    case: str, reading: Reading, vila_cases: Mapping[str, Any]
) -> None:
    meta = vila_cases[case]
    counts = [visual.num_tokens for visual in reading.prompt.visuals]
    assert counts == [meta["tokens_per_image"]] * meta["n_images"]
    assert reading.prompt.tokens.total == meta["seq_len"]


def test_pixels_are_the_original_s(reading: Reading) -> None:
    pictures = [view.pixels() for visual in reading.prompt.visuals for view in crop_views(visual)]
    ours = to_pixel_values(pictures, size_px=384)
    assert_close(ours[:, :, ::16, ::16], reading.vectors["pixel_values_s16"], PIXELS)


def test_the_tower_is_the_original_s(reading: Reading) -> None:
    pixel_values = to_pixel_values([crop_views(reading.prompt.visuals[0])[0].pixels()], size_px=384)
    with torch.inference_mode():
        features = patch_features(reading.model.network.model.vision_tower, pixel_values)
    assert_close(features[0], reading.vectors["vision_tower_frame0"], FEATURES)


def test_features_are_the_original_s(reading: Reading) -> None:
    assert_close(torch.stack(reading.blocks), reading.vectors["image_features"], FEATURES)


def test_row_by_row_they_would_not_be(reading: Reading) -> None:
    tower = reading.vectors["vision_tower_frame0"][None]
    with torch.inference_mode():
        rows = reading.model.network.model.multi_modal_projector.layers(
            merge_patches(tower, "row_major")
        )
    assert (rows[0] - reading.vectors["image_features"][0]).abs().max() > 1


def test_pictures_and_text_are_embedded_in_their_places(reading: Reading) -> None:
    ours = reading.embedded.inputs_embeds[0, ::4]
    assert_close(ours, reading.vectors["inputs_embeds_s4"], FEATURES)


def test_logits_are_the_original_s(reading: Reading) -> None:
    hidden = reading.hidden[reading.vectors["logits_positions"]]
    assert_close(reading.model.language.logits(hidden), reading.vectors["logits"], LOGITS)


def test_greedy_answers_are_the_original_s(reading: Reading) -> None:
    kv_cache, position = deepcopy(reading.kv_cache), reading.embedded.next_position
    logits = reading.model.language.logits(reading.hidden[-1:])
    token_ids: list[int] = []
    for _ in reading.vectors["greedy_new_tokens"]:
        chosen = logits.argmax(-1)
        positions = torch.tensor([position + len(token_ids)])
        token_ids.append(int(chosen))
        logits = reading.model.decode_step(chosen, positions, kv_cache)
    assert token_ids == reading.vectors["greedy_new_tokens"].tolist()
