"""Judging through the runner: the demo model's verdicts, sharing, deadlines and short memory."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.errors import (
    ContextLengthExceeded,
    ModelLoading,
    OutOfMemory,
    RequestError,
    RequestTimeout,
    ServiceError,
    ShuttingDown,
)
from contracts.judging import Judge, Judgement, JudgeRequest
from contracts.media import Clip, Frame
from demo.drawing import Stage
from demo.report import HERE
from demo.scenes import Kind, moments_of
from demo.world import random_item
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.vision_chunks import never
from runners.jobs import JudgeJob
from runners.judging import YesNo
from runners.scripted import ScriptedRunner
from runners.transformers_runner import TransformersRunner
from tests.runners.engine_room import turning
from tests.runners.test_shortage import Crowded
from tests.runners.test_transformers_runner import answer, ask, loaded, settings

DEMO = HERE / "model"
GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
FIRE, PERSON = "Is there a fire?", "Is there a person?"
QUESTIONS = (FIRE, PERSON, "Is anything red moving?", FIRE, "Is there a car on the left?")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def runner() -> AsyncIterator[TransformersRunner]:
    one = await loaded(TransformersRunner(settings(model=str(DEMO))))
    yield one
    await one.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "device"]


@pytest.fixture(scope="module")
def fire() -> Clip:
    """Two fires and nothing else."""
    item = random_item("rule 11", num_questions=1, split="train", kind="event")
    assert {thing.kind for thing in item.view.seen} == {Kind.FIRE}
    stage = Stage(item.scene, (128, 96))
    frames = tuple(
        Frame(stage.frame(moment), 0.5 * index) for index, moment in enumerate(moments_of(8))
    )
    return Clip(frames, 4.0, 2.0, 8, 128, 96, "h264", 0.0, 4.0, "default")


def alone(model: VisionLanguageModel, clip: Clip, question: str) -> Judgement:
    """The judgement from a prompt that is read in one go."""
    prompt = model.plan([ChatMessage("user", (VideoPart(clip), TextPart(question)))])
    blocks = [model.encode(visual, never) for visual in prompt.visuals]
    logits = model.prefill(model.embed(prompt, blocks), model.new_kv_cache())
    return YesNo.of(model.tokenizer.backend_tokenizer).judgement(logits[0], known_mass=0.1)


async def test_a_fire_is_there_and_a_person_is_not(runner: TransformersRunner, fire: Clip) -> None:
    is_fire, is_person = await runner.judge(JudgeRequest(fire, (FIRE, PERSON)))
    assert is_fire.known
    assert is_person.known
    assert is_fire.p_yes > 0.9
    assert is_person.p_yes < 0.1


@pytest.mark.parametrize("path", [DEMO, GOLDEN / "vila_tiny", GOLDEN / "llava_video_tiny"])
async def test_many_questions_are_judged_like_each_alone(path: Path, fire: Clip) -> None:
    model = load_checkpoint(str(path), LoadOptions())
    one = await loaded(TransformersRunner(settings(model=str(path))))
    together = await one.judge(JudgeRequest(fire, QUESTIONS))
    single = await one.judge(JudgeRequest(fire, (PERSON,)))
    await one.close()
    expected = [alone(model, fire, question) for question in QUESTIONS]
    assert [j.p_yes for j in together] == pytest.approx([j.p_yes for j in expected], abs=1e-5)
    assert [j.known for j in together] == [j.known for j in expected]
    assert single[0].p_yes == pytest.approx(together[1].p_yes, abs=1e-5)
    assert together[0].p_yes != pytest.approx(together[1].p_yes, abs=1e-4)


async def test_less_mass_than_known_is_unknown(fire: Clip) -> None:
    one = await loaded(TransformersRunner(settings(model=str(DEMO), known_mass=1.0)))
    (judgement,) = await one.judge(JudgeRequest(fire, ("Describe what happens in this video.",)))
    await one.close()
    assert not judgement.known


async def test_answers_and_judgements_wait_for_each_other(
    runner: TransformersRunner, fire: Clip
) -> None:
    request = JudgeRequest(fire, (FIRE, PERSON))
    alone = await runner.judge(request)
    _, first, _, second = await asyncio.gather(
        answer(runner, ask("one")), runner.judge(request),
        answer(runner, ask("two")), runner.judge(request),
    )  # fmt: skip
    assert first == second == alone


async def test_a_deadline_that_passes_is_a_timeout_and_frees_the_engine(
    runner: TransformersRunner, fire: Clip
) -> None:
    late = JudgeRequest(fire, (FIRE,), deadline_s=time.monotonic())
    with pytest.raises(RequestTimeout):
        await runner.judge(late)
    assert await runner.judge(replace(late, deadline_s=time.monotonic() + 60))


async def test_closing_ends_what_waits_to_be_judged(fire: Clip) -> None:
    one = await loaded(TransformersRunner(settings(model=str(DEMO))))
    request = ask("w", max_tokens=2000, min_tokens=2000)
    async with aclosing(one.generate(request)) as deltas:
        await anext(deltas)  # admitted: the judgement waits behind it
        task = asyncio.create_task(one.judge(JudgeRequest(fire, QUESTIONS)))
        while one._engine is not None and not one._engine._waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await one.close()
    with pytest.raises(ShuttingDown):
        await task


async def test_a_question_over_the_context_is_refused(
    runner: TransformersRunner, fire: Clip
) -> None:
    long = "fire " * (runner.require_card().context_length or 0)
    with pytest.raises(ContextLengthExceeded, match=r"\d+ text, 0 image, \d+ video"):
        await runner.judge(JudgeRequest(fire, (FIRE, long)))


async def test_before_it_is_loaded_it_says_so(fire: Clip) -> None:
    one = TransformersRunner(settings())
    with pytest.raises(ModelLoading):
        await one.judge(JudgeRequest(fire, (FIRE,)))
    await one.close()


@pytest.mark.parametrize(
    ("questions", "param", "said"),
    [
        ((), "questions", "at least one question, got none"),
        ((FIRE, " \n"), "questions[1]", "a question, got blank text as number 2"),
    ],
)
async def test_no_question_and_a_blank_one_are_refused(
    questions: tuple[str, ...], param: str, said: str, fire: Clip
) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        JudgeRequest(fire, questions)
    assert caught.value.param == param


def judged(crowded: Crowded, clip: Clip, questions: Sequence[str]) -> list[Judgement]:
    """What an engine says on a crowded device.

    Raises:
        ServiceError: The engine's.
    """
    items: queue.Queue[list[Judgement] | ServiceError] = queue.Queue()
    messages = [ChatMessage("user", (VideoPart(clip), TextPart(text))) for text in questions]
    prompts = tuple(crowded.plan((message,)) for message in messages)
    with turning(crowded) as engine:
        engine.submit(JudgeJob(prompts, 0.1, items.put))
        item = items.get(timeout=60)
    if isinstance(item, ServiceError):
        raise item
    return item


async def test_short_memory_is_tried_once_more_and_then_refused(fire: Clip) -> None:
    model = load_checkpoint(str(DEMO), LoadOptions())
    expected = [alone(model, fire, question).p_yes for question in (FIRE, PERSON)]
    again = judged(Crowded(model, prefill=1), fire, (FIRE, PERSON))
    assert [judgement.p_yes for judgement in again] == pytest.approx(expected, abs=1e-4)
    with pytest.raises(OutOfMemory, match=r"tokens of this prompt"):
        judged(Crowded(model, prefill=2), fire, (FIRE, PERSON))


async def test_a_caller_who_leaves_ends_the_work_within_one_step(fire: Clip) -> None:
    class Impatient(Crowded):
        def _fill(self, step: str) -> None:
            super()._fill(step)
            if len(self.calls) == 1:
                job.cancel()

    model = Impatient(load_checkpoint(str(DEMO), LoadOptions()))
    model.reads_together = False
    items: queue.Queue[list[Judgement] | ServiceError] = queue.Queue()
    messages = [ChatMessage("user", (VideoPart(fire), TextPart(text))) for text in QUESTIONS]
    job = JudgeJob(tuple(model.plan((message,)) for message in messages), 0.1, items.put)
    next_items: queue.Queue[list[Judgement] | ServiceError] = queue.Queue()
    with turning(model) as engine:
        engine.submit(job)
        engine.submit(JudgeJob(job.prompts[:1], 0.1, next_items.put))
        assert isinstance(next_items.get(timeout=60), list)
    assert items.empty()
    assert model.calls == ["prefill", "prefill"]


async def test_what_is_shared_is_read_once(fire: Clip) -> None:
    crowded = Crowded(load_checkpoint(str(DEMO), LoadOptions()))
    judged(crowded, fire, QUESTIONS)
    assert crowded.calls == ["prefill", "prefill_packed"]


async def test_a_script_judges_and_remembers(fire: Clip) -> None:
    script = [Judgement(0.9, known=True), Judgement(0.2, known=False)]
    one = ScriptedRunner(judgements=[script])
    judge: Judge = one
    request = JudgeRequest(fire, (FIRE, PERSON))
    assert await judge.judge(request) == script
    assert one.judge_requests == [request]
