"""Answers counted while they pass."""

import asyncio
import math
from collections.abc import AsyncGenerator

import pytest

from contracts.errors import RequestTimeout
from contracts.generation import FinishReason, PromptTokens, TokenDelta, Usage
from runners.answer_meter import AnswerMeter, counted
from runners.engine_meter import EngineMeter

LAST = TokenDelta("c", 0, FinishReason.STOP, usage=Usage(PromptTokens(5, 0, 7), 4, 9))


async def said(*deltas: TokenDelta, ended: list[bool]) -> AsyncGenerator[TokenDelta, None]:
    try:
        for delta in deltas:
            yield delta
    finally:
        ended.append(True)


async def test_tokens_are_those_of_the_last_delta_even_if_pieces_were_fewer() -> None:
    meter, ended = EngineMeter(), list[bool]()
    deltas = said(TokenDelta(), TokenDelta("a"), TokenDelta("b"), LAST, ended=ended)
    passed = [d async for d in counted(deltas, AnswerMeter(meter, "upload"), deadline_s=math.inf)]
    stats = meter.stats({}, {})
    upload = stats.of("upload")
    assert len(passed) == 4
    assert upload.num_generated == 9
    assert (upload.first_token_s.counts[-1], upload.token_s.counts[-1]) == (1, 2)
    assert stats.prompt_tokens == {"text": 5, "image": 0, "video": 7, "cached": 4}
    assert ended == [True]


async def test_an_answer_that_is_left_counts_what_came() -> None:
    meter, ended = EngineMeter(), list[bool]()
    deltas = counted(
        said(TokenDelta("a"), TokenDelta("b"), LAST, ended=ended),
        AnswerMeter(meter, "chat"),
        deadline_s=math.inf,
    )
    await anext(deltas)
    await anext(deltas)
    await deltas.aclose()
    assert meter.stats({}, {}).of("chat").num_generated == 2
    assert ended == [True]


async def test_a_deadline_ends_it() -> None:
    async def stuck() -> AsyncGenerator[TokenDelta, None]:
        yield await asyncio.Future()

    with pytest.raises(RequestTimeout):
        async for _ in counted(stuck(), AnswerMeter(EngineMeter(), "chat"), deadline_s=0.0):
            pass
