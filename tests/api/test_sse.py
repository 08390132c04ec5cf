"""Event streams, rule by rule."""

import asyncio
import json
from dataclasses import replace

import pytest

from api.app import build_app
from contracts.errors import RequestTimeout
from contracts.generation import FinishReason, PromptTokens, TokenDelta, Usage
from runners.scripted import ScriptedRunner
from tests.api.asgi import RawClient, Stalled
from tests.api.fakes import (
    ADMITTED,
    DeltaRunner,
    deps_of,
    image,
    saying,
    serve,
    text,
    user,
    video,
)

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
END = TokenDelta(finish_reason=FinishReason.STOP, usage=Usage(PromptTokens(3), completion=2))


def stream(runner: ScriptedRunner, *content: object, **body: object) -> list[dict[str, object]]:
    """The chunks of an answer; checks that each event is one line and that DONE ends them."""
    reply = serve(runner).post(CHAT, json=user(*(content or ("hi",)), stream=True, **body))
    assert reply.status_code == 200
    *events, done, rest = reply.text.split("\n\n")
    assert done == "data: [DONE]"
    assert rest == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def choices(chunks: list[dict[str, object]]) -> list[dict[str, object]]:
    return [choice for chunk in chunks for choice in chunk["choices"]]  # type: ignore[attr-defined]


def test_the_headers_let_nobody_hold_events_back() -> None:
    reply = serve().post(CHAT, json=user("hi", stream=True, foo=1))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-ignored-parameters"] == "foo"
    assert "content-length" not in reply.headers
    assert "x-request-id" in reply.headers


def test_the_chunks_are_those_of_the_api() -> None:
    chunks = stream(saying("Two", " cats."))
    head = {
        key: chunks[0][key] for key in ("id", "object", "created", "model", "system_fingerprint")
    }
    assert head["object"] == "chat.completion.chunk"
    assert [{**chunk} for chunk in chunks] == [
        {
            **head,
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": ""},
                    "logprobs": None,
                    "finish_reason": None,
                }
            ],
            "media_info": [],
        },
        {**head, "choices": [_said("Two")]},
        {**head, "choices": [_said(" cats.")]},
        {
            **head,
            "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}],
        },
    ]


def _said(content: str) -> dict[str, object]:
    return {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": None}


def test_media_info_is_in_the_first_chunk_only() -> None:
    first, *others = stream(saying("a"), video(), image(), text("?"), n=2)
    assert [one["type"] for one in first["media_info"]] == ["video", "image"]  # type: ignore[attr-defined]
    assert not any("media_info" in chunk for chunk in others)


def test_the_role_is_only_in_the_first_chunk_of_each_choice() -> None:
    told = choices(stream(saying("a", "b"), n=2))
    with_role = [choice["index"] for choice in told if "role" in choice["delta"]]  # type: ignore[operator]
    assert with_role == [0, 1]


def test_each_choice_has_one_finish_reason_and_it_carries_the_last_piece() -> None:
    last = TokenDelta("c", 0, FinishReason.LENGTH, usage=Usage(PromptTokens(3), completion=3))
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), TokenDelta("b", 1, FinishReason.STOP), last)
    finished = [c for c in choices(stream(runner, n=2)) if c["finish_reason"]]
    assert [(c["index"], c["delta"], c["finish_reason"]) for c in finished] == [
        (1, {"content": "b"}, "stop"),
        (0, {"content": "c"}, "length"),
    ]


def test_a_delta_that_says_nothing_is_no_chunk() -> None:
    runner = DeltaRunner(ADMITTED, TokenDelta(), TokenDelta("a"), TokenDelta(), END)
    assert len(stream(runner)) == 3


def test_usage_comes_last_and_only_when_it_is_asked_for() -> None:
    *chunks, last = stream(saying("a"), stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 1  # type: ignore[index]
    assert "timings" in last
    for options in (None, {}, {"include_usage": False}):
        chunks = stream(saying("a"), stream_options=options)
        assert not any("usage" in chunk for chunk in chunks)


def test_logprobs_come_with_their_tokens() -> None:
    told = choices(stream(saying("a"), logprobs=True))
    assert told[0]["logprobs"] is None
    assert told[1]["logprobs"]["content"][0]["token"] == "a"  # type: ignore[index]


def test_the_joined_pieces_are_the_whole_answer() -> None:
    pieces = ["A", "ä€", "😀", "\n\n", 'data: "quoted"']
    joined = "".join(
        str(c["delta"].get("content", ""))  # type: ignore[attr-defined]
        for c in choices(stream(saying(*pieces)))
    )
    whole = serve(saying(*pieces)).post(CHAT, json=user("hi")).json()
    assert joined == whole["choices"][0]["message"]["content"] == "".join(pieces)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RequestTimeout('a "quoted" reason'), "request_timeout", 'a "quoted" reason'),
        (ValueError("secret"), "server_error", "internal error, request abc"),
    ],
)
def test_an_error_after_the_status_is_an_event_and_done_follows(
    error: Exception, code: str, message: str
) -> None:
    client = serve(DeltaRunner(ADMITTED, TokenDelta("a"), error))
    headers = {"X-Request-Id": "abc"}
    reply = client.post(CHAT, json=user("hi", stream=True), headers=headers)
    *_, last, done, _ = reply.text.split("\n\n")
    assert done == "data: [DONE]"
    told = json.loads(last.removeprefix("data: "))["error"]
    assert (told["code"], told["message"], told["type"]) == (code, message, "server_error")


def test_an_answer_that_ends_unfinished_is_an_error_event() -> None:
    chunks = stream(DeltaRunner(ADMITTED, TokenDelta("a")))
    assert chunks[-1]["error"]["code"] == "server_error"  # type: ignore[index]


async def test_silence_is_broken_by_comments() -> None:
    deps = deps_of(DeltaRunner(ADMITTED, None), sse_keepalive_s=0.01)
    body = json.dumps(user("hi", stream=True)).encode()
    client = RawClient(build_app(lambda: deps), CHAT, [body], JSON)
    task = asyncio.create_task(client.run())
    await asyncio.wait_for(client.until(b": keep-alive\n\n: keep-alive\n\n"), 5)
    client.leave()
    await task


@pytest.mark.parametrize(
    ("path", "body"),
    [(CHAT, user("hi", stream=True)), ("/v1/responses", {"input": "hi", "stream": True})],
)
async def test_a_client_that_takes_nothing_any_more_ends_the_work(
    path: str, body: dict[str, object]
) -> None:
    runner = DeltaRunner(ADMITTED, *[TokenDelta("a")] * 20, None)
    deps = replace(deps_of(runner), patience_s=0.05)
    client = Stalled(build_app(lambda: deps), path, [json.dumps(body).encode()], JSON)
    await asyncio.wait_for(client.run(), 5)
    assert client.sent[0]["status"] == 200
    assert runner.is_closed


async def test_a_client_that_does_not_even_take_a_comment_ends_the_work() -> None:
    runner = DeltaRunner(ADMITTED, None)
    deps = replace(deps_of(runner, sse_keepalive_s=0.01), patience_s=0.05)
    body = [json.dumps(user("hi", stream=True)).encode()]
    client = Stalled(build_app(lambda: deps), CHAT, body, JSON)
    await asyncio.wait_for(client.run(), 5)
    assert b"keep-alive" not in client.body
    assert runner.is_closed


async def test_the_status_waits_for_admission() -> None:
    deps = deps_of(DeltaRunner(None))
    body = json.dumps(user("hi", stream=True)).encode()
    client = RawClient(build_app(lambda: deps), CHAT, [body], JSON)
    task = asyncio.create_task(client.run())
    await client.is_read.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert client.sent == []
    client.leave()
    await task


async def test_a_client_that_leaves_closes_the_generation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "api")
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), None)
    deps = deps_of(runner)
    body = json.dumps(user("hi", stream=True)).encode()
    client = RawClient(build_app(lambda: deps), CHAT, [body], JSON)
    task = asyncio.create_task(client.run())
    await client.until(b'"content":"a"')
    client.leave()
    await asyncio.wait_for(task, 5)
    assert runner.is_closed
    assert " 499 " in caplog.text
    assert b"error" not in client.body


async def test_a_cancelled_request_closes_the_generation() -> None:
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), None)
    deps = deps_of(runner)
    body = json.dumps(user("hi", stream=True)).encode()
    client = RawClient(build_app(lambda: deps), CHAT, [body], JSON)
    task = asyncio.create_task(client.run())
    await client.until(b'"content":"a"')
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runner.is_closed
