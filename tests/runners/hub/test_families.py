"""Every family gives transformers' own answer, through our runner."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import torch

from contracts.chat import ChatMessage, ImagePart, TextPart
from contracts.generation import GenerationRequest, SamplingParams, TokenDelta
from contracts.media import Clip, Picture
from contracts.settings import Settings
from llava_custom import LoadOptions, Stopped
from llava_custom.quantization import Quantization
from llava_custom.vision_chunks import never
from runners.hub.model import HubModel
from runners.sequence import token_bytes
from runners.transformers_runner import TransformersRunner
from tests.runners.hub import reference
from tests.runners.hub.conftest import LoadFamily
from tests.runners.hub.families import Family
from tests.runners.hub.greedy import embedded, logits_of
from tests.runners.hub.media import clip, picture, user

NUM_TOKENS = 8
HISTORY = (
    ChatMessage("system", (TextPart("You are a helpful assistant."),)),
    user("What is in front of the camera?"),
    ChatMessage("assistant", (TextPart("Two cats."),)),
)
CONVERSATIONS = {
    "text": (user("Please describe the camera."),),
    "history": (*HISTORY, user("What else?")),
    "picture": (user(picture(60, 40), "Please describe this image."),),
    "pictures": (user(picture(50, 90, 1), picture(80, 30, 2), "Which is red?"),),
    "later": (user(picture(31, 67), "What?"), HISTORY[2], user("Why?")),
    "clip": (user(clip(), "What happens?"),),
    "both": (user(picture(60, 40), clip(), "What happens?"),),
}


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[TransformersRunner]:
    runner = TransformersRunner(Settings(model=str(path)))
    await runner.start()
    while runner.state == "loading":  # noqa: ASYNC110 - loading is polled
        await asyncio.sleep(0.02)
    runner.require_card()
    yield runner
    await runner.close()


async def ask(
    runner: TransformersRunner, messages: Sequence[ChatMessage], **params: object
) -> list[TokenDelta]:
    sampling = SamplingParams(max_tokens=NUM_TOKENS, logprobs=True, **params)  # type: ignore[arg-type]
    request = GenerationRequest("test", tuple(messages), sampling, time.monotonic() + 60)
    return [delta async for delta in runner.generate(request)]


async def test_answers_are_those_of_generate(family: Family, path: Path, model: HubModel) -> None:
    tokenizer = model.tokenizer.backend_tokenizer
    async with running(path) as runner:
        assert runner.require_card().knows_video == family.knows_video
        for name, messages in CONVERSATIONS.items():
            if not family.takes(name):
                continue
            theirs = reference.answer(path, messages, NUM_TOKENS)
            deltas = await ask(runner, messages)
            ours = [entry.chosen for delta in deltas for entry in delta.logprobs]
            expected = [token_bytes(tokenizer, token_id) for token_id in theirs.answer_ids]
            assert [chosen.token_bytes for chosen in ours] == expected, name
            assert [chosen.logprob for chosen in ours] == pytest.approx(theirs.logprobs, abs=1e-3)
            usage = deltas[-1].usage
            assert usage is not None
            assert usage.prompt.total == len(theirs.prompt_ids), name


def test_prompts_have_the_ids_of_the_processor(family: Family, path: Path, model: HubModel) -> None:
    for name, messages in CONVERSATIONS.items():
        if not family.takes(name):
            continue
        theirs = reference.prepare(path, messages)["input_ids"][0].tolist()
        prompt = model.plan(messages)
        at = 0
        for segment in prompt.segments:
            if isinstance(segment, tuple):
                assert list(segment) == theirs[at : at + len(segment)], name
                at += len(segment)
            else:
                assert len(set(theirs[at : at + segment.num_tokens])) == 1, name
                at += segment.num_tokens
        assert at == len(theirs)


def test_a_prompt_read_in_stretches_is_the_prompt(family: Family, model: HubModel) -> None:
    parts = (
        (picture(60, 40), clip(), "What happens?")
        if family.knows_video
        else (picture(60, 40), picture(20, 90), "What is it?")
    )
    prompt = embedded(model, user(*parts))
    whole = logits_of(model, prompt, 10_000)
    for max_tokens in (7, 64):
        for ours, theirs in zip(logits_of(model, prompt, max_tokens), whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


async def test_greedy_choices_are_the_answer_alone(path: Path) -> None:
    messages = CONVERSATIONS["pictures"]
    async with running(path) as runner:
        alone = text_of(await ask(runner, messages))
        both = await ask(runner, messages, num_choices=2)
        assert [text_of(both, 0), text_of(both, 1)] == [alone, alone]


SIZES = [(1, 1), (9, 200), (200, 9), (28, 28), (57, 31), (64, 128), (333, 77), (300, 300)]


@pytest.mark.parametrize("width_height", SIZES)
def test_as_many_tokens_are_computed_as_planned(
    model: HubModel, width_height: tuple[int, int]
) -> None:
    still = picture(*width_height)
    for parts in ((still,), (still, still), (clip(3, *width_height),)):
        for visual in model.plan((user(*parts),)).visuals:
            model.encode(visual, never)  # raises where they differ


@pytest.mark.parametrize("part", [picture(90, 50), clip()])
def test_encoding_stops_when_told(model: HubModel, part: Picture | Clip) -> None:
    for visual in model.plan((user(part),)).visuals:
        with pytest.raises(Stopped):
            model.encode(visual, lambda: True)


def test_low_detail_has_no_tiles(model: HubModel) -> None:
    high, low = (
        model.plan((ChatMessage("user", (ImagePart(picture(90, 50), detail),)),)).tokens.image
        for detail in ("high", "low")
    )
    assert low <= high


def test_chunks_of_the_tower_change_nothing(
    family: Family, model: HubModel, load: LoadFamily
) -> None:
    in_twos = load(family, LoadOptions(vision_chunk=2))
    for part in (picture(90, 50), clip()):
        for visual in model.plan((user(part),)).visuals:
            ours, theirs = in_twos.encode(visual, never), model.encode(visual, never)
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_clips_count_as_video(family: Family, model: HubModel) -> None:
    tokens = model.plan((user(picture(40, 30), clip(), "What?"),)).tokens
    assert tokens.image > 0
    assert tokens.video > 0
    assert model.knows_video == family.knows_video


def test_half_precision_answers_alike(family: Family, model: HubModel, load: LoadFamily) -> None:
    half = load(family, LoadOptions(dtype=torch.bfloat16))
    messages = (user(picture(60, 40), "What is it?"),)
    (ours, *_), (theirs, *_) = (
        logits_of(one, embedded(one, *messages), 10_000) for one in (half, model)
    )
    assert torch.cosine_similarity(ours, theirs) > 0.98


@pytest.mark.parametrize(
    ("quantization", "class_name", "least_similarity"),
    [("nf4", "Linear4bit", 0.8), ("int8", "Linear8bitLt", 0.98)],
)
def test_the_language_model_alone_is_quantised(
    family: Family,
    model: HubModel,
    load: LoadFamily,
    quantization: Quantization,
    class_name: str,
    least_similarity: float,
) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    quantised = load(family, LoadOptions(quantization=quantization))
    layer_class = getattr(bitsandbytes.nn, class_name)
    names = [n for n, m in quantised.network.named_modules() if isinstance(m, layer_class)]
    num_layers = model.network.config.get_text_config().num_hidden_layers
    assert len(names) == 7 * num_layers
    assert all(name.startswith(family.language_layers) for name in names)
    messages = (user(picture(60, 40), "What is it?"),)
    (ours, *_), (theirs, *_) = (
        logits_of(one, embedded(one, *messages), 10_000) for one in (quantised, model)
    )
    assert torch.cosine_similarity(ours, theirs) > least_similarity


def text_of(deltas: Sequence[TokenDelta], choice_index: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.choice_index == choice_index)
