"""Answers to lines, by a runner that says what it is told."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from contracts.errors import ModelUnavailable, QueueFull, RunnerError, ServiceError
from contracts.generation import FinishReason, ModelRunner, PromptTokens, TokenDelta, Usage
from runners.offline.batch_answers import answers_in_order
from runners.offline.batch_lines import URL, InputLine
from runners.offline.session import Session
from tests.api.fakes import ADMITTED, DeltaRunner, deps_of, saying, user


def lines(*bodies: object) -> list[InputLine]:
    texts = [
        json.dumps({"custom_id": f"c{i}", "method": "POST", "url": URL, "body": body}).encode()
        for i, body in enumerate(bodies)
    ]
    return [InputLine(i + 1, text, f"{i:032x}") for i, text in enumerate(texts)]


async def answers(
    runner: ModelRunner, asked: Sequence[InputLine], concurrency: int = 2
) -> list[dict[str, Any]]:
    session = Session(deps_of(runner))
    async with aclosing(answers_in_order(session, iter(asked), set(), concurrency)) as answered:
        return [json.loads(one.line) async for one in answered]


async def test_an_answer_has_nothing_of_when_and_where_it_was_made() -> None:
    cached = TokenDelta("Hi", 0, FinishReason.STOP, usage=Usage(PromptTokens(3), 2, 1))
    (one,) = await answers(DeltaRunner(ADMITTED, cached), lines(user("?")))
    assert one["custom_id"] == "c0"
    assert one["error"] is None
    response = one["response"]
    assert (response["status_code"], response["request_id"]) == (200, f"req_{0:032x}")
    body = response["body"]
    assert (body["id"], body["created"]) == (f"chatcmpl-{0:032x}", 0)
    assert "timings" not in body
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert body["choices"][0]["message"]["content"] == "Hi"


async def test_a_request_without_a_seed_gets_its_lines() -> None:
    runner = saying("Hi", times=2)
    first, second = lines(user("?", seed=5), user("?"))
    await answers(runner, [first, second])
    assert [request.sampling.seed for request in runner.requests] == [5, second.seed]


@pytest.mark.parametrize("concurrency", [1, 2, 9])
async def test_answers_come_in_order_and_only_so_many_are_computed(concurrency: int) -> None:
    runner = saying("Hi", times=7)
    found = await answers(runner, lines(*[user("?")] * 7), concurrency)
    assert [one["custom_id"] for one in found] == [f"c{i}" for i in range(7)]
    assert len(runner.requests) == 7


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(QueueFull("full"), 429, "queue_full"), (RunnerError("secret"), 500, "server_error")],
)
async def test_an_error_has_its_true_status(error: ServiceError, status: int, code: str) -> None:
    (one,) = await answers(DeltaRunner(ADMITTED, error), lines(user("?")))
    assert one["response"]["status_code"] == status
    assert one["response"]["body"]["error"]["code"] == code
    assert one["error"] is None
    assert "secret" not in json.dumps(one)


async def test_a_fault_of_ours_is_the_fault_of_one_line() -> None:
    runner = saying("Hi", times=1)  # and breaks when it is asked once more
    good, bad = await answers(runner, lines(user("?"), user("?")), concurrency=1)
    assert good["response"]["status_code"] == 200
    assert bad["response"]["status_code"] == 500
    assert bad["response"]["request_id"] in bad["response"]["body"]["error"]["message"]


async def test_without_a_model_there_is_no_answer_at_all() -> None:
    with pytest.raises(ModelUnavailable):
        await answers(DeltaRunner(ModelUnavailable("gone")), lines(*[user("?")] * 9))


async def test_who_stops_reading_stops_the_work() -> None:
    runner = DeltaRunner(ADMITTED, None)
    first, *others = lines({}, user("?"), user("?"), user("?"))
    session = Session(deps_of(runner))
    answered = answers_in_order(session, iter([first, *others]), set(), 1)
    assert (await anext(answered)).is_failed
    await answered.aclose()
    assert len(runner.requests) <= 1
    assert runner.is_closed or not runner.requests
