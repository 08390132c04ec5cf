"""Caches as people notice them: the same answers, and tokens that were not computed again."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.generation import GenerationRequest, Usage
from contracts.judging import JudgeRequest
from contracts.media import Clip, Frame
from demo.drawing import Stage
from demo.report import HERE
from demo.scenes import moments_of
from demo.world import random_item
from runners.transformers_runner import TransformersRunner
from tests.runners.test_transformers_runner import answer, ask, clip, loaded, settings, text_of

OFF = {"vision_cache_mb": 0, "prefix_cache_mb": 0}
QUESTIONS = ("What happens?", "How many red things are there?", "Is there a fire?", "What moves?")


@asynccontextmanager
async def opened(**fields: object) -> AsyncIterator[TransformersRunner]:
    one = await loaded(TransformersRunner(settings(model=str(HERE / "model"), **fields)))
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture(scope="module")
def film() -> Clip:
    """Twelve frames of the demo world, and a clock in their corner."""
    stage = Stage(random_item("a film", num_questions=1, split="train").scene, (128, 96))
    frames = []
    for index, moment in enumerate(moments_of(12)):
        rgb = stage.frame(moment).copy()
        rgb[:4, : 4 * index] = 255
        frames.append(Frame(rgb, 0.5 * index))
    return Clip(tuple(frames), 6.0, 2.0, 12, 128, 96, "h264", 0.0, 6.0, "default")


def windows_of(film: Clip, num_frames: int) -> Iterator[Clip]:
    """What a rule sees of a stream, a frame later each time."""
    for first in range(len(film.frames) - num_frames + 1):
        yield replace(film, frames=film.frames[first : first + num_frames])


async def said(
    one: TransformersRunner, requests: Sequence[GenerationRequest]
) -> list[tuple[str, Usage]]:
    """Each answer with what it used, one after the other."""
    found = []
    for request in requests:
        deltas = await answer(one, request)
        usage = deltas[-1].usage
        assert usage is not None
        found.append((text_of(deltas), usage))
    return found


async def texts_without(requests: Sequence[GenerationRequest]) -> list[str]:
    async with opened(**OFF) as one:
        replies = await said(one, requests)
    assert all(usage.cached == 0 for _, usage in replies)
    return [text for text, _ in replies]


@pytest.mark.asyncio
async def test_the_second_question_about_a_video_is_answered_from_the_first(film: Clip) -> None:
    requests = [ask(text, VideoPart(film), max_tokens=24) for text in (*QUESTIONS, QUESTIONS[0])]
    expected = await texts_without(requests)
    async with opened() as one:
        replies = await said(one, requests)
        stats = one.stats()
    assert [text for text, _ in replies] == expected
    assert len(set(expected)) > 1
    (_, first), *others = replies
    assert first.cached == 0
    for _, usage in others:
        assert usage.prompt.video < usage.cached < usage.prompt.total
    assert stats.prefix_cache.num_hits == len(QUESTIONS)
    assert stats.vision_cache.num_misses == 12
    assert stats.prompt_tokens["cached"] == sum(usage.cached for _, usage in replies)
    assert 0 < stats.vision_cache.num_bytes < 256_000_000
    assert 0 < stats.prefix_cache.num_bytes < 512_000_000


@pytest.mark.asyncio
async def test_a_conversation_about_a_video_reads_only_what_is_new(film: Clip) -> None:
    opening = (VideoPart(film), TextPart(QUESTIONS[0]))
    turns = (
        ChatMessage("user", opening),
        ChatMessage("assistant", (TextPart("A red ball rolls."),)),
        ChatMessage("user", (TextPart(QUESTIONS[1]),)),
    )
    requests = [replace(ask(""), messages=turns[:1]), replace(ask(""), messages=turns)]
    expected = await texts_without(requests)
    async with opened() as one:
        (first, _), (second, usage) = await said(one, requests)
    assert [first, second] == expected
    assert usage.prompt.total - usage.cached < 60


@pytest.mark.asyncio
async def test_equal_system_prompts_are_read_once() -> None:
    rules = "You watch a gate. Say what moves, how many things there are, and their colours. "
    system = ChatMessage("system", (TextPart(rules * 3),))
    asked = [ChatMessage("user", (TextPart(text),)) for text in QUESTIONS]
    requests = [replace(ask(""), messages=(system, message)) for message in asked]
    expected = await texts_without(requests)
    async with opened() as one:
        replies = await said(one, requests)
    assert [text for text, _ in replies] == expected
    for _, usage in replies[1:]:
        assert 40 < usage.cached < usage.prompt.total


@pytest.mark.asyncio
async def test_frames_that_windows_share_are_seen_once_by_all(film: Clip) -> None:
    requests = [ask("What happens?", VideoPart(window)) for window in windows_of(film, 8)]
    expected = await texts_without(requests)
    async with opened(prefix_cache_mb=0) as one:
        replies = await said(one, requests)
        for window in windows_of(film, 8):
            await one.judge(JudgeRequest(window, ("Is there a fire?",)))
        stats = one.stats().vision_cache
    assert [text for text, _ in replies] == expected
    assert stats.num_misses == 12
    assert stats.num_hits == 2 * 5 * 8 - 12
    assert replies[1][1].cached == replies[1][1].prompt.video * 7 // 8


@pytest.mark.asyncio
async def test_many_questions_are_judged_alike_with_caches_and_without(film: Clip) -> None:
    questions = tuple(f"Is there a {thing}?" for thing in ("fire", "person", "car", "red ball"))
    requests = [JudgeRequest(window, questions) for window in windows_of(film, 10)]
    async with opened(**OFF) as bare, opened() as one:
        for request in (*requests, requests[0]):
            expected, found = await bare.judge(request), await one.judge(request)
            assert [j.known for j in found] == [j.known for j in expected]
            assert [j.p_yes for j in found] == pytest.approx([j.p_yes for j in expected], abs=1e-5)


@pytest.mark.asyncio
async def test_what_is_kept_changes_no_answer_in_company(film: Clip) -> None:
    clips = [film, *windows_of(film, 9), film]
    requests = [
        ask(text, VideoPart(shown), max_tokens=10, num_choices=1 + index % 2)
        for index, shown in enumerate(clips)
        for text in QUESTIONS[:2]
    ]
    expected = await texts_without(requests)
    async with opened() as one:
        replies = await asyncio.gather(*(answer(one, request) for request in requests))
    assert [text_of(deltas) for deltas in replies] == expected
    usages = [deltas[-1].usage for deltas in replies]
    assert sum(usage is not None and usage.cached > usage.prompt.video for usage in usages) >= 6


@pytest.mark.asyncio
async def test_a_small_budget_changes_no_answer() -> None:
    requests = [ask("What?", VideoPart(clip(3)), max_tokens=12) for _ in range(4)] * 2
    expected = await texts_without(requests)
    async with opened(vision_cache_mb=1, prefix_cache_mb=1) as one:
        replies = await said(one, requests)
        stats = one.stats()
    assert [text for text, _ in replies] == expected
    assert stats.vision_cache.num_bytes <= 1_000_000
    assert stats.prefix_cache.num_bytes <= 1_000_000
