"""What every runner promises, asked of each: ours, vLLM, and one whose model another Lookout has.

Run in an environment with vLLM to have it asked, too.
"""

import asyncio
import importlib.util
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from bench.engine.checkpoint import write_checkpoint, write_vllm_copy
from contracts.answer_forms import AnswerForm, ChoiceForm, JsonForm
from contracts.chat import ImagePart, VideoPart
from contracts.errors import ContextLengthExceeded, ModelLoading, RequestTimeout, ShuttingDown
from contracts.generation import FinishReason, ModelRunner, TokenDelta
from contracts.judging import JudgeRequest
from contracts.media import Clip, Frame
from contracts.settings import Settings
from runners.opening import open_runner
from tests.runners.test_transformers_runner import answer, ask, clip, picture, text_of

FIRE, PERSON = "Is there a fire?", "Is there a person?"
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"is_red": {"type": "boolean"}},
        "required": ["is_red"],
        "additionalProperties": False,
    }
)
LONG = 400  # tokens, more than any test waits for
HAS_VLLM = importlib.util.find_spec("vllm") is not None
RUNNERS = [
    "transformers",
    "openai",
    pytest.param(
        "vllm",
        marks=[
            pytest.mark.skipif(not HAS_VLLM, reason="vllm is not installed; it is optional"),
            pytest.mark.filterwarnings("default"),  # its own
        ],
    ),
]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def loaded(settings: Settings) -> AsyncIterator[ModelRunner]:
    """A runner that is ready; at the end, closing it ends an answer that goes on."""
    one = open_runner(settings)
    with pytest.raises(ModelLoading):
        one.require_card()
    assert one.state == "loading"
    await one.start()
    async with asyncio.timeout(240):
        while one.state == "loading":  # noqa: ASYNC110 - readiness is polled
            await asyncio.sleep(0.02)
    yield one
    deltas = one.generate(ask("w", max_tokens=LONG, min_tokens=LONG))
    async with aclosing(deltas):
        await anext(deltas)
        await asyncio.gather(one.close(), _drained_until_shut_down(deltas))


async def _drained_until_shut_down(deltas: AsyncIterator[TokenDelta]) -> None:
    with pytest.raises(ShuttingDown):
        async for _ in deltas:
            pass


async def opened(kind: str, stack: AsyncExitStack, folder: Path) -> ModelRunner:
    if kind == "transformers":
        return await stack.enter_async_context(loaded(Settings()))
    if kind == "openai":
        from tests.runners.lookout_server import lookout_server

        far = await opened("transformers", stack, folder)
        url = await stack.enter_async_context(lookout_server(far))
        settings = Settings(runner="openai", openai_url=url)
        return await stack.enter_async_context(loaded(settings))
    path = write_vllm_copy(folder / "vllm", write_checkpoint(folder / "tiny"))
    arguments = {"enforce_eager": True, "max_model_len": 2048}
    settings = Settings(runner="vllm", model=str(path), vllm_args=arguments)
    return await stack.enter_async_context(loaded(settings))


@pytest_asyncio.fixture(params=RUNNERS, loop_scope="module", scope="module")
async def runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ModelRunner]:
    async with AsyncExitStack() as stack:
        yield await opened(request.param, stack, tmp_path_factory.mktemp("runner"))


def still(num_frames: int = 2) -> Clip:
    """A gray clip, the same every time."""
    rgb = np.full((96, 128, 3), 128, np.uint8)
    frames = tuple(Frame(rgb, 0.5 * index) for index in range(num_frames))
    return Clip(frames, 4.0, 2.0, num_frames, 128, 96, "h264", 0.0, 4.0, "default")


async def test_the_first_delta_admits_and_the_last_accounts(runner: ModelRunner) -> None:
    deltas = await answer(runner, ask("What?", VideoPart(clip()), ImagePart(picture())))
    first, last = deltas[0], deltas[-1]
    assert first.text == ""
    assert first.finish_reason is None
    assert first.usage is not None
    assert last.finish_reason is not None
    assert last.usage is not None
    assert last.timings is not None
    assert not last.usage.prompt.is_estimated
    assert min(last.usage.prompt.text, last.usage.prompt.image, last.usage.prompt.video) > 0
    assert 1 <= last.usage.completion <= 8
    assert [delta.usage for delta in deltas[1:-1]] == [None] * (len(deltas) - 2)


async def test_counts_are_those_of_the_answer(runner: ModelRunner) -> None:
    request = ask("What?", ImagePart(picture()), VideoPart(clip()))
    counted = await runner.count_tokens(request.messages)
    last = (await answer(runner, request))[-1]
    assert last.usage is not None
    assert counted == last.usage.prompt


async def test_a_prompt_that_was_only_counted_is_answered_later(runner: ModelRunner) -> None:
    refused = ask("word " * 9000, shown := ImagePart(picture()))
    with pytest.raises(ContextLengthExceeded):
        await answer(runner, refused)
    await runner.count_tokens(ask("What?", shown).messages)
    assert text_of(await answer(runner, ask("What?", shown)))


async def test_greedy_repeats_itself_also_beside_others(runner: ModelRunner) -> None:
    request = ask("What?", VideoPart(still()), max_tokens=12)
    alone = text_of(await answer(runner, request))
    beside = [answer(runner, ask(f"number {index}")) for index in range(3)]
    together, *_ = await asyncio.gather(answer(runner, request), *beside)
    assert text_of(together) == alone
    assert alone


async def test_length_ends_with_length(runner: ModelRunner) -> None:
    last = (await answer(runner, ask("x", max_tokens=3, min_tokens=3)))[-1]
    assert last.finish_reason is FinishReason.LENGTH
    assert last.usage is not None
    assert last.usage.completion == 3


async def test_a_stop_string_ends_with_stop_and_is_not_shown(runner: ModelRunner) -> None:
    whole = text_of(await answer(runner, ask("y", max_tokens=12, min_tokens=12)))
    stop = whole[3:6]
    deltas = await answer(runner, ask("y", max_tokens=12, stop=(stop,)))
    assert text_of(deltas) == whole[: whole.index(stop)]
    assert deltas[-1].finish_reason is FinishReason.STOP


async def test_each_choice_ends_once_and_a_seed_repeats_them(runner: ModelRunner) -> None:
    request = ask(
        "What?", ImagePart(picture()), max_tokens=24, num_choices=3, temperature=2.0, seed=1
    )
    deltas = await answer(runner, request)
    again = await answer(runner, request)
    assert sorted(one.choice_index for one in deltas if one.finish_reason) == [0, 1, 2]
    texts = [text_of(deltas, index) for index in range(3)]
    assert len(set(texts)) > 1
    assert [text_of(again, index) for index in range(3)] == texts


async def test_logprobs_come_one_for_a_token(runner: ModelRunner) -> None:
    deltas = await answer(
        runner, ask("z", logprobs=True, top_logprobs=3, min_tokens=8, max_tokens=8)
    )
    entries = [entry for delta in deltas for entry in delta.logprobs]
    assert len(entries) == 8
    assert all(len(entry.top) == 3 for entry in entries)
    assert all(entry.top[0].logprob >= entry.chosen.logprob for entry in entries)
    assert all(entry.chosen.logprob <= 0 for entry in entries)


@pytest.mark.parametrize("form", [ChoiceForm(("red", "blue")), JsonForm(SCHEMA)])
async def test_an_answer_has_the_form_that_is_asked_for(
    runner: ModelRunner, form: AnswerForm
) -> None:
    said = text_of(await answer(runner, ask("Which colour?", form=form, max_tokens=64)))
    if isinstance(form, ChoiceForm):
        assert said in form.choices
    else:
        assert isinstance(json.loads(said)["is_red"], bool)


async def test_a_prompt_over_the_context_is_refused_first(runner: ModelRunner) -> None:
    context_length = runner.require_card().context_length
    assert context_length is not None
    request = ask("word " * context_length)
    async with aclosing(runner.generate(request)) as deltas:
        with pytest.raises(ContextLengthExceeded):
            await anext(deltas)


async def test_a_bound_over_the_room_is_cut_to_it(runner: ModelRunner) -> None:
    context_length = runner.require_card().context_length
    assert context_length is not None
    long = "word " * 40
    async with aclosing(runner.generate(ask(long, max_tokens=context_length - 8))) as deltas:
        assert (await anext(deltas)).usage is not None
        assert (await anext(deltas)).text


async def test_a_reader_who_leaves_ends_the_work(runner: ModelRunner) -> None:
    request = ask("w", max_tokens=LONG, min_tokens=LONG)
    async with aclosing(runner.generate(request)) as deltas:
        async for delta in deltas:
            if delta.text:
                break
    assert await answer(runner, ask("next", max_tokens=1))
    assert runner.stats().of("chat").num_running == 0


async def test_a_deadline_that_passes_is_a_timeout(runner: ModelRunner) -> None:
    with pytest.raises(RequestTimeout):
        await answer(runner, ask("w", max_tokens=LONG, min_tokens=LONG, wait_s=0.2))
    assert await answer(runner, ask("next", max_tokens=1))


async def test_a_clip_is_judged_and_many_questions_like_one(runner: ModelRunner) -> None:
    request = JudgeRequest(still(), (FIRE, PERSON, FIRE))
    first, other, again = await runner.judge(request)
    (alone,) = await runner.judge(JudgeRequest(still(), (PERSON,)))
    assert 0 <= first.p_yes <= 1
    assert again.p_yes == pytest.approx(first.p_yes, abs=2e-3)
    assert alone.p_yes == pytest.approx(other.p_yes, abs=2e-3)
    assert runner.require_card().judging == "likelihood"


async def test_a_late_judgement_is_a_timeout(runner: ModelRunner) -> None:
    with pytest.raises(RequestTimeout):
        await runner.judge(JudgeRequest(clip(), (FIRE,), deadline_s=time.monotonic()))
    assert await runner.judge(JudgeRequest(still(), (FIRE,)))


async def test_work_is_counted_by_class(runner: ModelRunner) -> None:
    before = runner.stats()
    await answer(runner, ask("Hi", max_tokens=4, min_tokens=4))
    await runner.judge(JudgeRequest(still(), (FIRE,)))
    after = runner.stats()
    for work_class in ("chat", "alert"):
        counts = [one.of(work_class).first_token_s.counts[-1] for one in (before, after)]
        assert counts[1] == counts[0] + 1
    assert after.of("chat").num_generated >= before.of("chat").num_generated + 4
    assert after.prompt_tokens["video"] > before.prompt_tokens.get("video", 0)


async def test_the_card_names_no_path(runner: ModelRunner) -> None:
    card = runner.require_card()
    assert "/" not in card.root
    assert card.frame_policy.num_frames > 0
