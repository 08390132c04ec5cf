import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.errors import (
    ContextLengthExceeded,
    ModelLoading,
    ModelUnavailable,
    QueueFull,
    RequestError,
    RequestTimeout,
    ServiceError,
    ShuttingDown,
    WeightsError,
)
from contracts.generation import (
    FinishReason,
    GenerationRequest,
    ModelRunner,
    SamplingParams,
    TokenDelta,
)
from contracts.media import Clip, Frame, Picture
from contracts.settings import Settings
from runners.transformers_runner import TransformersRunner

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "llava_video_tiny"
NOISE = np.random.default_rng(0)


def settings(**fields: object) -> Settings:
    return Settings.model_validate({"model": str(GOLDEN)} | fields)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def runner() -> AsyncIterator[TransformersRunner]:
    one = await loaded(TransformersRunner(settings()))
    yield one
    await one.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "device"]


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def loaded(one: TransformersRunner) -> TransformersRunner:
    await one.start()
    for _ in range(3000):
        if one.state == "ready":
            return one
        await asyncio.sleep(0.02)
    raise AssertionError("not loaded within a minute")


def clip(num_frames: int = 2) -> Clip:
    frames = tuple(
        Frame(NOISE.integers(0, 255, (48, 80, 3), np.uint8), float(index))
        for index in range(num_frames)
    )
    end_s = float(num_frames)
    return Clip(frames, end_s, 1.0, num_frames, 80, 48, "h264", 0.0, end_s, "default")


def picture() -> Picture:
    return Picture(NOISE.integers(0, 255, (40, 60, 3), np.uint8), 60, 40, "png")


def ask(
    text: str, *parts: ImagePart | VideoPart, wait_s: float = 60, **params: object
) -> GenerationRequest:
    message = ChatMessage("user", (*parts, TextPart(text)))
    sampling = replace(SamplingParams(max_tokens=8), **params)  # type: ignore[arg-type]
    return GenerationRequest("test", (message,), sampling, time.monotonic() + wait_s)


async def answer(one: ModelRunner, request: GenerationRequest) -> list[TokenDelta]:
    return [delta async for delta in one.generate(request)]


async def failure(one: TransformersRunner) -> ServiceError | None:
    try:
        await answer(one, ask("x"))
    except ServiceError as exc:
        return exc
    return None


def text_of(deltas: list[TokenDelta], choice_index: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.choice_index == choice_index)


async def test_the_first_delta_admits_and_the_last_accounts(runner: TransformersRunner) -> None:
    deltas = await answer(runner, ask("What?", VideoPart(clip())))
    first, last = deltas[0], deltas[-1]
    assert first.text == ""
    assert first.usage is not None
    assert last.usage is not None
    assert last.timings is not None
    assert first.usage.prompt.video == 2 * 14 * 15
    assert last.usage.prompt == first.usage.prompt
    assert 1 <= last.usage.completion <= 8
    assert last.finish_reason is not None
    assert last.timings.encode_s > 0


async def test_counts_are_those_of_the_answer(runner: TransformersRunner) -> None:
    request = ask("What?", ImagePart(picture()), VideoPart(clip()))
    counted = await runner.count_tokens(request.messages)
    first = (await answer(runner, request))[0]
    assert first.usage is not None
    assert counted == first.usage.prompt
    assert counted.image > 700


async def test_greedy_repeats_itself(runner: TransformersRunner) -> None:
    request = ask("What?", VideoPart(clip()), max_tokens=12)
    assert text_of(await answer(runner, request)) == text_of(await answer(runner, request))


async def test_choices_share_a_prompt_and_have_their_own_numbers(
    runner: TransformersRunner,
) -> None:
    request = ask("Say", max_tokens=16, num_choices=3, temperature=1.5, seed=1)
    deltas = await answer(runner, request)
    texts = [text_of(deltas, index) for index in range(3)]
    assert len(set(texts)) == 3
    assert sorted(d.choice_index for d in deltas if d.finish_reason) == [0, 1, 2]
    assert [text_of(await answer(runner, request), index) for index in range(3)] == texts
    alone = await answer(
        runner, replace(request, sampling=replace(request.sampling, num_choices=1))
    )
    assert text_of(alone) == texts[0]
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.completion > 16


async def test_greedy_choices_are_the_answer_alone(runner: TransformersRunner) -> None:
    alone = text_of(await answer(runner, ask("Say", max_tokens=16)))
    deltas = await answer(runner, ask("Say", max_tokens=16, num_choices=2))
    assert [text_of(deltas, 0), text_of(deltas, 1)] == [alone, alone]


async def test_a_bias_on_no_token_is_refused(runner: TransformersRunner) -> None:
    with pytest.raises(RequestError, match=r"logit_bias.*got 999999"):
        await answer(runner, ask("x", logit_bias={999_999: 1.0}))


@pytest.mark.parametrize("token_id", [999_999, 10**30])
async def test_a_stop_token_that_is_none_is_refused(
    runner: TransformersRunner, token_id: int
) -> None:
    with pytest.raises(RequestError, match=r"stop_token_ids.*expected token ids from 0"):
        await answer(runner, ask("x", stop_token_ids=(token_id,), min_tokens=1))


async def test_length_ends_with_length(runner: TransformersRunner) -> None:
    deltas = await answer(runner, ask("x", max_tokens=3, min_tokens=3))
    usage = deltas[-1].usage
    assert deltas[-1].finish_reason is FinishReason.LENGTH
    assert usage is not None
    assert usage.completion == 3


async def test_a_stop_string_ends_with_stop_and_is_not_shown(runner: TransformersRunner) -> None:
    whole = text_of(await answer(runner, ask("y", max_tokens=24, temperature=1, seed=3)))
    stop = whole[3:5]
    deltas = await answer(runner, ask("y", max_tokens=24, temperature=1, seed=3, stop=(stop,)))
    assert text_of(deltas) == whole[: whole.index(stop)]
    assert deltas[-1].finish_reason is FinishReason.STOP


async def test_logprobs_come_one_for_a_token(runner: TransformersRunner) -> None:
    deltas = await answer(runner, ask("z", logprobs=True, top_logprobs=3, min_tokens=8))
    entries = [entry for delta in deltas for entry in delta.logprobs]
    assert len(entries) == 8
    assert all(len(entry.top) == 3 for entry in entries)
    assert all(entry.top[0].logprob >= entry.chosen.logprob for entry in entries)


async def test_what_was_loaded_says_where_and_how(runner: TransformersRunner) -> None:
    card = runner.require_card()
    assert (card.device, card.quantization) == ("cpu", "none")
    assert runner.progress == 1


async def test_a_prompt_over_the_context_is_refused_with_its_parts(
    runner: TransformersRunner,
) -> None:
    card = runner.card
    assert card is not None
    with pytest.raises(ContextLengthExceeded, match=r"\d+ text, 0 image, 420 video"):
        await answer(runner, ask("word " * (card.context_length or 0), VideoPart(clip())))


async def test_a_reader_who_leaves_frees_the_engine(runner: TransformersRunner) -> None:
    async with aclosing(runner.generate(ask("w", max_tokens=20_000, min_tokens=20_000))) as deltas:
        async for delta in deltas:
            if delta.text:
                break
    assert await answer(runner, ask("next", max_tokens=1))


async def test_a_deadline_that_passes_is_a_timeout_and_frees_the_engine(
    runner: TransformersRunner,
) -> None:
    with pytest.raises(RequestTimeout):
        await answer(runner, ask("w", max_tokens=20_000, min_tokens=20_000, wait_s=0.5))
    assert await answer(runner, ask("next", max_tokens=1))


async def test_requests_wait_for_each_other(runner: TransformersRunner) -> None:
    requests = [ask(f"number {index}", max_tokens=4) for index in range(6)]
    together = await asyncio.gather(*(answer(runner, request) for request in requests))
    assert [text_of(deltas) for deltas in together] == [
        text_of(await answer(runner, request)) for request in requests
    ]


async def test_more_than_may_wait_is_queue_full() -> None:
    one = await loaded(TransformersRunner(settings(max_queue=1)))
    tasks = [
        asyncio.create_task(answer(one, ask("w", max_tokens=20_000, min_tokens=20_000)))
        for _ in range(4)
    ]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    error = done.pop().exception()
    assert isinstance(error, QueueFull)
    assert error.retry_after_s is not None
    assert 1 <= error.retry_after_s <= 60
    await one.close()
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert any(isinstance(outcome, ShuttingDown) for outcome in outcomes)
    assert all(isinstance(outcome, ShuttingDown | QueueFull) for outcome in outcomes)


async def test_before_it_is_loaded_it_says_so() -> None:
    one = TransformersRunner(settings())
    assert one.card is None
    assert one.state == "loading"
    assert one.progress == 0
    with pytest.raises(ModelLoading):
        await answer(one, ask("x"))
    await one.close()


async def test_a_checkpoint_that_does_not_load_is_unavailable_with_the_reason(
    tmp_path: Path,
) -> None:
    for path in GOLDEN.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model-00002-of-00003.safetensors").write_bytes(b"broken")
    one = TransformersRunner(settings(model=str(tmp_path)))
    await one.start()
    while isinstance(error := await failure(one), ModelLoading):  # noqa: ASYNC110 - loading is polled
        await asyncio.sleep(0.02)
    assert isinstance(error, ModelUnavailable)
    assert one.state == "failed"
    with pytest.raises(ModelUnavailable):
        one.require_card()
    await one.close()


async def test_a_closed_runner_that_nobody_holds_lets_its_model_go() -> None:
    one = await loaded(TransformersRunner(settings()))
    model = weakref.ref(one._model)
    await one.close()
    del one
    gc.collect()
    assert model() is None


async def test_an_unsupported_checkpoint_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["OtherForCausalLM"]}')
    with pytest.raises(WeightsError, match="architectures"):
        TransformersRunner(settings(model=str(tmp_path)))
