"""The openai package against the app, in process."""

from typing import Any

import httpx2  # the client library that openai itself is built on
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from api.app import build_app
from contracts.answer_forms import JsonForm
from contracts.errors import QueueFull, RequestTimeout
from contracts.generation import TokenDelta
from runners.scripted import ScriptedRunner
from tests.api.fakes import ADMITTED, DeltaRunner, deps_of, saying, video

VIDEO: Any = video("u")  # a part that the client has no type for


def client_of(runner: ScriptedRunner, *, max_retries: int = 0, api_keys: str = "") -> AsyncOpenAI:
    deps = deps_of(runner, api_keys=api_keys)
    transport = httpx2.ASGITransport(build_app(lambda: deps))
    http = httpx2.AsyncClient(transport=transport)
    return AsyncOpenAI(
        api_key="foo", base_url="http://test/v1", http_client=http, max_retries=max_retries
    )


async def test_models_are_listed_and_retrieved() -> None:
    client = client_of(saying())
    assert [model.id async for model in client.models.list()] == ["m", "m-vision"]
    assert (await client.models.retrieve("m")).owned_by == "lookout"


async def test_a_chat_is_answered() -> None:
    reply = await client_of(saying("Two", " cats.")).chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": "hi"}],
        logprobs=True,
        top_logprobs=2,
        extra_body={"top_k": 5},
    )
    (choice,) = reply.choices
    assert choice.message.content == "Two cats."
    assert choice.finish_reason == "stop"
    assert choice.logprobs is not None
    assert [one.token for one in choice.logprobs.content or ()] == ["Two", " cats."]
    assert reply.usage is not None
    assert reply.usage.total_tokens == 3
    assert reply.model == "m"


async def test_a_streamed_chat_is_the_same() -> None:
    stream = await client_of(saying("Two", " cats.")).chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": [VIDEO]}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "Two cats."
    assert chunks[-1].usage is not None
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_response_is_answered() -> None:
    reply = await client_of(saying("Two", " cats.")).responses.create(
        model="m",
        instructions="Look.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "What is there?"}]}],
        metadata={"a": "b"},
    )
    assert reply.output_text == "Two cats."
    assert reply.status == "completed"
    assert reply.metadata == {"a": "b"}
    assert reply.usage is not None
    assert reply.usage.total_tokens == 6


async def test_a_streamed_response_is_the_same() -> None:
    client = client_of(saying("Two", " cats."))
    async with client.responses.stream(model="m", input="hi") as stream:
        pieces = [one.delta async for one in stream if one.type == "response.output_text.delta"]
        whole = await stream.get_final_response()
    assert pieces == ["Two", " cats."]
    assert whole.output_text == "Two cats."


class Sight(BaseModel):
    what: str
    count: int


async def test_a_response_of_a_form_is_parsed() -> None:
    said = '{"what": "cats", "count": 2}'
    runner = saying(said, times=2)
    reply = await client_of(runner).responses.parse(model="m", input="hi", text_format=Sight)
    assert reply.output_parsed == Sight(what="cats", count=2)
    chat = await client_of(runner).chat.completions.parse(
        model="m", messages=[{"role": "user", "content": "hi"}], response_format=Sight
    )
    assert chat.choices[0].message.parsed == reply.output_parsed
    assert all(isinstance(request.sampling.form, JsonForm) for request in runner.requests)


async def test_a_response_that_fails_says_so_in_its_last_event() -> None:
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), RequestTimeout("late"))
    stream = await client_of(runner).responses.create(model="m", input="hi", stream=True)
    last = [one async for one in stream][-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message == "late"


async def test_errors_are_the_clients_classes() -> None:
    client = client_of(saying())
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="gpt-none", messages=[])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        await client.chat.completions.create(model="m", messages=[])
    assert (bad.value.code, bad.value.param) == ("invalid_request", "messages")
    with pytest.raises(openai.AuthenticationError):
        await client_of(saying(), api_keys="other").models.list()


async def test_an_error_in_a_stream_is_raised_by_the_client() -> None:
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), RequestTimeout("late"))
    stream = await client_of(runner).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    with pytest.raises(openai.APIError, match="late"):
        async for _ in stream:
            pass


@pytest.mark.parametrize(
    ("error", "num_requests"),
    [(QueueFull("full", retry_after_s=1), 2), (RequestTimeout("late"), 1)],
)
async def test_the_client_retries_what_may_succeed_later_and_nothing_else(
    error: QueueFull | RequestTimeout, num_requests: int
) -> None:
    runner = DeltaRunner(error)
    with pytest.raises(openai.APIStatusError):
        await client_of(runner, max_retries=1).chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
    assert len(runner.requests) == num_requests
