"""The runner whose model is elsewhere, against a server that behaves as it is told."""

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contracts.answer_forms import ANY_OBJECT, AnswerForm, ChoiceForm, JsonForm
from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.errors import (
    ContextLengthExceeded,
    ModelLoading,
    ModelUnavailable,
    QueueFull,
    RequestError,
    RequestTimeout,
    RequestTooLarge,
    RunnerError,
    ServiceError,
    ShuttingDown,
    UnsupportedValue,
)
from contracts.generation import FinishReason, ModelState, PromptTokens
from contracts.judging import Judgement, JudgeRequest
from contracts.settings import Settings
from runners.openai_runner import OpenAIRunner
from runners.opening import open_runner
from tests.runners.remote.model_server import (
    MODEL,
    Json,
    ModelServer,
    Silence,
    Streamed,
    Whole,
    chunk,
    completion,
    hello,
    model_server,
    usage,
)
from tests.runners.test_transformers_runner import answer, ask, clip, picture, text_of

KEY = "sk-sesame-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as one:
        yield one


def of(url: str, **fields: object) -> Settings:
    return Settings.model_validate(
        {"runner": "openai", "openai_url": url, "openai_key": KEY} | fields
    )


@asynccontextmanager
async def started(server: ModelServer, **fields: object) -> AsyncIterator[OpenAIRunner]:
    """A runner that has looked at the server once."""
    one = open_runner(of(server.url, **fields))
    assert isinstance(one, OpenAIRunner)
    await one.start()
    await until(lambda: server.num_looks > 0 and one.state != "loading")
    try:
        yield one
    finally:
        await one.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - states are polled
            await asyncio.sleep(0.005)


async def failing(asked: Awaitable[object]) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await asked
    for secret in (KEY, "127.0.0.1", "/srv/secret"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__cause__)
    return caught.value


async def test_an_answer_streams_and_is_accounted(server: ModelServer) -> None:
    server.will(hello())
    async with started(server) as one:
        deltas = await answer(one, ask("Hi", VideoPart(clip())))
    first, last = deltas[0], deltas[-1]
    assert [delta.text for delta in deltas] == ["", "Hel", "lo", ""]
    assert first.usage is not None
    assert first.usage.prompt.is_estimated
    assert last.finish_reason is FinishReason.STOP
    assert last.usage is not None
    assert last.usage.completion == 2
    assert last.usage.prompt.total == 7
    assert last.timings is not None
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json["model"] == "org/far"
    assert asked.json["stream_options"] == {"include_usage": True}


async def test_a_server_says_what_its_tokens_are(server: ModelServer) -> None:
    details = {"text_tokens": 5, "image_tokens": 0, "video_tokens": 15, "cached_tokens": 9}
    vllm = {"cached_tokens": 4, "multimodal_tokens": {"image": 12}}
    ending = chunk("x", finish="length")
    server.will(
        Streamed((ending, usage(20, 1, **details))), Streamed((ending, usage(20, 1, **vllm)))
    )
    async with started(server) as one:
        request = ask("Hi", VideoPart(clip()))
        told, shared = [(await answer(one, request))[-1] for _ in range(2)]
    assert told.usage is not None
    assert told.usage.prompt == PromptTokens(5, 0, 15)
    assert told.usage.cached == 9
    assert told.finish_reason is FinishReason.LENGTH
    assert shared.usage is not None
    assert shared.usage.prompt == PromptTokens(8, 0, 12)


async def test_a_server_that_tells_no_usage_is_estimated(server: ModelServer) -> None:
    server.will(Streamed((chunk("a"), chunk("b"), chunk(finish="stop")), end="closed"))
    async with started(server) as one:
        last = (await answer(one, ask("Hi")))[-1]
    assert last.usage is not None
    assert last.usage.prompt.is_estimated
    assert last.usage.completion == 2


async def test_what_is_wished_of_the_tokens_goes_through(server: ModelServer) -> None:
    wishes: dict[str, Any] = {
        "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": -0.2,
        "seed": 0, "top_k": 7, "min_p": 0.05, "repetition_penalty": 1.1, "min_tokens": 2,
    }  # fmt: skip
    both = (chunk("a", finish="stop"), chunk("b", index=1, finish="stop"))
    server.will(Streamed(both), hello())
    async with started(server) as one:
        lists: dict[str, Any] = {"stop": ("X", "Y"), "stop_token_ids": (3,), "logit_bias": {5: 1.5}}
        request = ask("Hi", num_choices=2, logprobs=True, top_logprobs=3, **lists, **wishes)
        deltas = await answer(one, request)
        await answer(one, ask("Hi"))
    assert [text_of(deltas, 0), text_of(deltas, 1)] == ["a", "b"]
    assert server.asked[0].json.items() >= wishes.items()
    assert server.asked[0].json["logit_bias"] == {"5": 1.5}
    assert server.asked[0].json["stop"] == ["X", "Y"]
    assert server.asked[0].json["stop_token_ids"] == [3]
    assert (server.asked[0].json["n"], server.asked[0].json["top_logprobs"]) == (2, 3)
    # servers that refuse what they do not know are told nothing that need not be said
    assert set(server.last) == {
        "model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens"
    }  # fmt: skip


async def test_vllm_is_told_what_its_checkpoint_would_say_otherwise(server: ModelServer) -> None:
    server.models = Whole({"data": [MODEL | {"owned_by": "vllm"}]})
    server.will(hello())
    async with started(server) as one:
        await answer(one, ask("Hi"))
    assert server.last.items() >= {"repetition_penalty": 1.0, "top_k": 0, "min_p": 0.0}.items()


async def test_logprobs_keep_their_bytes(server: ModelServer) -> None:
    entry = {"token": "\ufffd", "logprob": -0.5, "bytes": [240, 159], "top_logprobs": [
        {"token": "é", "logprob": -0.5, "bytes": None}]}  # fmt: skip
    piece = chunk("x", finish="stop")
    piece["choices"][0]["logprobs"] = {"content": [entry]}  # type: ignore[index]
    server.will(Streamed((piece,)))
    async with started(server) as one:
        last = (await answer(one, ask("Hi", logprobs=True, top_logprobs=1)))[-1]
    (told,) = last.logprobs
    assert told.chosen.token_bytes == b"\xf0\x9f"
    assert told.top[0].token_bytes == "é".encode()


async def test_a_line_ends_with_a_newline_and_with_nothing_else(server: ModelServer) -> None:
    said = "a\u2028b\x85c\x0bd"
    server.will(Streamed((chunk(said), chunk(finish="stop"))))
    async with started(server) as one:
        assert text_of(await answer(one, ask("Hi"))) == said


def decoded(url: object) -> Image.Image:
    head, _, data = str(url).partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


async def test_frames_go_as_pictures_in_order_with_their_times(server: ModelServer) -> None:
    server.will(hello())
    shown = clip(3)
    async with started(server, openai_frame_px=40) as one:
        await answer(one, ask("Moves?", VideoPart(shown)))
    times, *pictures, question = server.last_parts
    assert "0.00s, 1.00s, 2.00s" in times["text"]
    assert question == {"type": "text", "text": "Moves?"}
    images = [decoded(part["image_url"]["url"]) for part in pictures]
    assert [image.size for image in images] == [(40, 24)] * 3
    means = [np.asarray(image).mean() for image in images]
    assert means == pytest.approx([frame.rgb.mean() for frame in shown.frames], abs=1.5)


async def test_a_picture_keeps_its_size_and_its_detail(server: ModelServer) -> None:
    server.will(hello())
    async with started(server, openai_frame_px=16) as one:
        await answer(one, ask("What?", ImagePart(picture(), detail="low")))
    url = server.last_parts[0]["image_url"]
    assert decoded(url["url"]).size == (60, 40)
    assert url["detail"] == "low"


@pytest.mark.parametrize("fields", [{"openai_clips": "video"}, {"openai_clips": "auto"}])
async def test_another_lookout_gets_a_clip_as_one(server: ModelServer, fields: Json) -> None:
    server.models = Whole({"data": [MODEL | {"owned_by": "lookout"}]})
    server.will(hello())
    async with started(server, **fields) as one:
        await answer(one, ask("Moves?", VideoPart(clip(3))))
    video = server.last_parts[0]["video_url"]
    head, *frames = video["url"].split(",")
    assert head == "data:video/jpeg;base64"
    assert len(frames) == 3
    assert video["fps"] == 1.0


async def test_text_alone_goes_as_text(server: ModelServer) -> None:
    server.will(hello())
    said = (ChatMessage("system", (TextPart("Be kind."),)), *ask("Hi").messages)
    async with started(server) as one:
        request = ask("x")
        await answer(one, type(request)("r", said, request.sampling, request.deadline_s))
    assert server.last["messages"] == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("refusal", "error", "retry_after_s"),
    [
        (Whole("busy", 429, (("Retry-After", "17"),)), QueueFull, 17),
        (Whole("busy", 429, (("Retry-After", "soon"),)), QueueFull, 5),
        (Whole({"error": {"code": "model_loading"}}, 503), ModelLoading, 5),
        (Whole("x", 503, (("Retry-After", "900"),)), ModelUnavailable, 60),
        (Whole({"error": {"message": f"{KEY} at 127.0.0.1"}}, 500), ModelUnavailable, 5),
        (Whole("x", 502), ModelUnavailable, 5),
        (Whole({"error": {"message": f"wrong key {KEY}"}}, 401), ModelUnavailable, 5),
        (Whole({"detail": "Not Found"}, 404), ModelUnavailable, 5),
        (Whole("x", 413), RequestTooLarge, None),
        (Whole("x", 504), RequestTimeout, None),
        (
            Whole({"error": {"message": "no /srv/secret", "code": "bad_thing"}}, 400),
            RequestError,
            None,
        ),
        (Whole({"detail": [{"msg": "extra"}]}, 422), RequestError, None),
        (Whole({"error": {"code": "context_length_exceeded"}}, 400), ContextLengthExceeded, None),
        (Silence(is_closed=True), ModelUnavailable, 5),
        (Whole("", 307, (("Location", "/elsewhere"),)), ModelUnavailable, 5),
    ],
)
async def test_a_refusal_is_told_in_our_words(
    server: ModelServer, refusal: Whole | Silence, error: type[ServiceError],
    retry_after_s: int | None, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    server.will(refusal, refusal)
    async with started(server) as one:
        told = await failing(answer(one, ask("Hi", max_tokens=9000)))
    assert type(told) is error
    assert told.retry_after_s == retry_after_s
    assert KEY not in caplog.text


async def test_the_code_of_a_refusal_is_told_its_text_only_in_the_log(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"top_k is {'x' * 999} {KEY}"
    server.will(Whole({"error": {"message": text, "type": "invalid_request_error"}}, 400))
    async with started(server) as one:
        told = await failing(answer(one, ask("Hi")))
    assert "status 400, invalid_request_error" in told.message
    assert "top_k is xxx" in caplog.text
    assert len(caplog.text) < 1000


@pytest.mark.parametrize(
    ("events", "end", "error"),
    [
        ((chunk("Hel"),), "cut", ModelUnavailable),
        ((chunk("Hel"),), "closed", RunnerError),
        (
            (chunk("Hel"), {"error": {"message": KEY, "code": "request_timeout"}}),
            "done",
            RequestTimeout,
        ),
        ((chunk("Hel"), {"error": "CUDA at /srv/secret"}), "closed", RunnerError),
        ((chunk("Hel"), {"choices": 5}), "done", RunnerError),
    ],
)
async def test_an_answer_that_breaks_off_is_an_error_after_what_came(
    server: ModelServer, events: tuple[object, ...], end: str, error: type[ServiceError]
) -> None:
    server.will(Streamed(events, end))  # type: ignore[arg-type]
    said = []

    async def read(one: OpenAIRunner) -> None:
        async for delta in one.generate(ask("Hi")):
            said.append(delta.text)

    async with started(server) as one:
        assert type(await failing(read(one))) is error
    assert "".join(said) == "Hel"


async def test_fewer_answers_than_asked_for_are_an_error(server: ModelServer) -> None:
    server.will(hello())
    async with started(server) as one:
        told = await failing(answer(one, ask("Hi", num_choices=2)))
    assert "1 of the 2 answers" in told.message


async def test_a_reader_who_leaves_hangs_up(server: ModelServer) -> None:
    server.will(Streamed((chunk("Hel"),), end="never"))
    async with started(server) as one:
        async with aclosing(one.generate(ask("Hi"))) as deltas:
            async for delta in deltas:
                if delta.text:
                    break
        await asyncio.wait_for(server.hung_up.wait(), 10)


@pytest.mark.parametrize("stuck", [Silence(), Streamed((chunk("Hel"),), end="never")])
async def test_a_deadline_hangs_up(server: ModelServer, stuck: Silence | Streamed) -> None:
    server.will(stuck)
    async with started(server) as one:
        with pytest.raises(RequestTimeout):
            await answer(one, ask("Hi", wait_s=0.2))
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_closing_ends_what_runs(server: ModelServer) -> None:
    server.will(Streamed((chunk("Hel"),), end="never"))
    async with started(server) as one:
        deltas = one.generate(ask("Hi"))
        await anext(deltas)
        await anext(deltas)
        rest = asyncio.create_task(anext(deltas))
        await asyncio.sleep(0)
        await one.close()
        with pytest.raises(ShuttingDown):
            await rest
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_more_than_may_wait_is_queue_full(server: ModelServer) -> None:
    server.gate.clear()
    server.will(*[hello()] * 2)
    async with started(server, openai_concurrency=1, max_queue=1) as one:
        runs = asyncio.create_task(answer(one, ask("one")))
        await until(lambda: server.num_running == 1)
        waits = asyncio.create_task(answer(one, ask("two")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        told = await failing(answer(one, ask("three")))
        assert isinstance(told, QueueFull)
        server.gate.set()
        _, second = await asyncio.gather(runs, waits)
    assert server.most_running == 1
    assert second[0].timings is not None
    assert second[0].timings.queue_s > 0


TOO_LONG = Whole({"error": {"message": "This model's maximum context length is 4096 tokens"}}, 400)


async def test_a_bound_that_a_server_refuses_is_left_to_it(server: ModelServer) -> None:
    server.will(TOO_LONG, hello())
    async with started(server) as one:
        assert text_of(await answer(one, ask("Hi", max_tokens=4000))) == "Hello"
    assert [asked.json.get("max_tokens") for asked in server.asked] == [4000, None]


async def test_a_bound_above_the_context_is_no_bound(server: ModelServer) -> None:
    server.will(hello(), TOO_LONG)
    async with started(server) as one:
        await answer(one, ask("Hi", max_tokens=4096))
        told = await failing(answer(one, ask("Hi", max_tokens=4096)))
    assert isinstance(told, ContextLengthExceeded)
    assert [asked.json.get("max_tokens") for asked in server.asked] == [None, None]


async def test_a_server_that_is_not_there_is_unavailable_until_it_comes() -> None:
    async with model_server() as gone:
        port = int(gone.url.rsplit(":", 1)[1].split("/")[0])
    async with started_at(gone.url) as one:
        assert one.state == "loading"
        await until(lambda: one.state == "failed")
        told = await failing(answer(one, ask("Hi")))
        assert isinstance(told, ModelUnavailable)
        assert one.card is None
        async with model_server(port) as server:
            await until(lambda: one.state == "ready")
            server.will(hello())
            assert text_of(await answer(one, ask("Hi"))) == "Hello"


@asynccontextmanager
async def started_at(url: str) -> AsyncIterator[OpenAIRunner]:
    one = OpenAIRunner(of(url))
    await one.start()
    try:
        yield one
    finally:
        await one.close()


async def test_a_server_that_goes_is_noticed_by_the_first_request() -> None:
    async with model_server() as server:
        runner = OpenAIRunner(of(server.url))
        await runner.start()
        await until(lambda: runner.state == "ready")
    try:
        told = await failing(answer(runner, ask("Hi")))
        assert "cannot be reached" in told.message
        await until(lambda: runner.state == "failed")
        assert runner.card is not None  # what was served; whoever needs it now is refused
        with pytest.raises(ModelUnavailable):
            runner.require_card()
    finally:
        await runner.close()


@pytest.mark.parametrize(
    ("models", "status", "state"),
    [
        (Whole({"data": [MODEL]}), "", "ready"),
        (Whole({"data": []}), "", "failed"),
        (Whole({"data": [MODEL | {"owned_by": "lookout"}]}), "loading", "loading"),
        (Whole({"data": [MODEL | {"owned_by": "lookout"}]}), "failed", "failed"),
        (Whole({"data": [MODEL | {"owned_by": "lookout"}]}), "ready", "ready"),
        (Whole("<html>", 200), "", "failed"),
        (Whole({"error": {"code": "invalid_api_key"}}, 401), "", "failed"),
        (Whole({"error": {"code": "model_loading"}}, 503), "", "loading"),
    ],
)
async def test_the_state_is_the_servers(
    server: ModelServer, models: Whole, status: str, state: ModelState
) -> None:
    server.models, server.status = models, Whole({"model": {"state": status}})
    async with started_at(server.url) as one:
        await until(lambda: server.num_looks > 1 or one.state != "loading")
        assert one.state == state


@pytest.mark.parametrize(
    ("model", "owner", "state", "root"),
    [
        ("org/far", "vllm", "ready", "org/far"),
        ("org/other", "vllm", "failed", None),
        ("/models/other", "somebody", "ready", "other"),
    ],
)
async def test_a_named_model_is_looked_for(
    server: ModelServer, model: str, owner: str, state: ModelState, root: str | None
) -> None:
    server.models = Whole({"data": [MODEL | {"owned_by": owner}]})
    async with started(server, model=model) as one:
        assert one.state == state
        assert (one.card and one.card.root) == root


async def test_the_card_says_what_is_known(server: ModelServer) -> None:
    async with started(server) as one:
        card = one.require_card()
        assert (card.root, card.context_length) == ("org/far", 4096)
    server.models = Whole({"data": [{"id": "llava:7b", "owned_by": "library"}]})
    async with started(server) as one:
        assert one.require_card().context_length is None


YES_NO = {"Yes": -0.2, " yes": -3.0, "No": -2.0, "The": -4.0}


async def test_yes_and_no_are_weighed_by_the_first_token(server: ModelServer) -> None:
    server.will(completion("Yes", YES_NO), completion("The", {"The": -0.01, "Yes": -9.0}))
    async with started(server, openai_concurrency=1) as one:
        sure, unsure = await one.judge(JudgeRequest(clip(), ("Fire?", "Smoke?")))
        assert one.require_card().judging == "likelihood"
    yes, no = np.exp(-0.2) + np.exp(-3.0), np.exp(-2.0)
    assert sure.p_yes == pytest.approx(yes / (yes + no))
    assert sure.known
    assert not unsure.known
    assert server.asked[0].json.items() >= {
        "max_tokens": 1, "logprobs": True, "top_logprobs": 20, "temperature": 0
    }.items()  # fmt: skip


NO_LOGPROBS = Whole({"error": {"message": "logprobs are not supported"}}, 400)


@pytest.mark.parametrize("first", [(completion("Yes"),), (NO_LOGPROBS, NO_LOGPROBS)])
async def test_without_likelihoods_the_text_decides_and_it_is_said(
    server: ModelServer, first: tuple[Whole, ...], caplog: pytest.LogCaptureFixture
) -> None:
    server.will(*first, completion("\n**Yes**, it"), completion("No."), completion("Perhaps no"))
    async with started(server, openai_concurrency=1) as one:
        judgements = await one.judge(JudgeRequest(clip(), ("a", "b", "c")))
        assert one.require_card().judging == "text"
    assert judgements == [
        Judgement(1.0, known=True), Judgement(0.0, known=True), Judgement(0.5, known=False)
    ]  # fmt: skip
    assert "logprobs" not in server.last
    assert caplog.text.count("tells no likelihoods") == 1


async def test_a_server_that_tells_fewer_likelihoods_is_asked_for_fewer(
    server: ModelServer,
) -> None:
    too_many = Whole({"error": {"message": "top_logprobs must be at most 5"}}, 400)
    server.will(too_many, completion("Yes", YES_NO))
    async with started(server) as one:
        (judgement,) = await one.judge(JudgeRequest(clip(), ("Fire?",)))
    assert judgement.known
    assert server.last["top_logprobs"] == 5


async def test_questions_are_asked_side_by_side_but_not_all_at_once(server: ModelServer) -> None:
    server.gate.clear()
    server.will(*[completion("Yes", YES_NO)] * 12)
    async with started(server) as one:
        questions = tuple(f"number {index}?" for index in range(12))
        task = asyncio.create_task(one.judge(JudgeRequest(clip(), questions)))
        await until(lambda: server.num_running == 8)
        server.gate.set()
        assert len(await task) == 12
    assert server.most_running == 8


async def test_a_question_that_is_refused_ends_the_judgement(server: ModelServer) -> None:
    server.will(Whole("busy", 429), *[Silence()] * 2)
    async with started(server) as one:
        told = await failing(one.judge(JudgeRequest(clip(), ("a", "b", "c"))))
        assert isinstance(told, QueueFull)
        await until(lambda: server.num_running == 0)


async def test_a_late_judgement_is_a_timeout(server: ModelServer) -> None:
    server.will(Silence())
    async with started(server) as one:
        with pytest.raises(RequestTimeout):
            await one.judge(JudgeRequest(clip(), ("a",), deadline_s=time.monotonic() + 0.2))
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_vllm_counts_and_others_are_estimated(server: ModelServer) -> None:
    messages = ask("12345678", ImagePart(picture())).messages
    async with started(server) as one:
        assert (await one.count_tokens(messages)).is_estimated
        assert not server.asked
    server.models = Whole({"data": [MODEL | {"owned_by": "vllm"}]})
    server.will(Whole({"count": 50, "tokens": []}), Whole({"detail": "Not Found"}, 404))
    async with started(server) as one:
        assert await one.count_tokens(messages) == PromptTokens(text=6, image=44)
        assert (await one.count_tokens(messages)).is_estimated
    assert server.asked[0].path == "/tokenize"


async def test_another_lookout_counts_exactly(server: ModelServer) -> None:
    server.models = Whole({"data": [MODEL | {"owned_by": "lookout"}]})
    details = {"text_tokens": 5, "image_tokens": 45, "video_tokens": 0}
    server.will(Whole({"prompt_tokens": 50, "prompt_tokens_details": details}))
    async with started(server) as one:
        messages = ask("Hi", ImagePart(picture())).messages
        assert await one.count_tokens(messages) == PromptTokens(text=5, image=45)
    assert server.asked[0].path == "/v1/media/probe"


@pytest.mark.parametrize(
    ("form", "owner", "field"),
    [
        (JsonForm(ANY_OBJECT), "somebody", {"response_format": {"type": "json_object"}}),
        (
            JsonForm('{"type":"array"}', "list"),
            "somebody",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "list", "schema": {"type": "array"}, "strict": True},
                }
            },
        ),
        (ChoiceForm(("a", "b")), "vllm", {"structured_outputs": {"choice": ["a", "b"]}}),
    ],
)
async def test_the_form_of_an_answer_goes_through(
    server: ModelServer, form: AnswerForm, owner: str, field: Json
) -> None:
    server.models = Whole({"data": [MODEL | {"owned_by": owner}]})
    server.will(hello())
    async with started(server) as one:
        await answer(one, ask("Hi", form=form))
    assert server.last.items() >= field.items()


async def test_choices_that_a_server_would_ignore_are_refused(server: ModelServer) -> None:
    async with started(server) as one:
        told = await failing(answer(one, ask("Hi", form=ChoiceForm(("a", "b")))))
    assert isinstance(told, UnsupportedValue)
    assert server.asked == []


async def test_what_was_done_is_counted(server: ModelServer) -> None:
    told = usage(9, 1)["usage"]
    yes = completion("Yes", YES_NO)
    assert isinstance(yes.body, dict)
    server.will(hello(), Whole(yes.body | {"usage": told}))
    async with started(server) as one:
        await answer(one, ask("Hi"))
        await one.judge(JudgeRequest(clip(), ("Fire?",)))
        stats = one.stats()
    chat, alert = stats.of("chat"), stats.of("alert")
    assert (chat.num_waiting, chat.num_running, chat.num_generated) == (0, 0, 2)
    assert chat.queue_s.counts[-1] == chat.first_token_s.counts[-1] == 1
    assert chat.token_s.counts[-1] == 1
    assert alert.first_token_s.counts[-1] == 1
    assert stats.prompt_tokens["text"] + stats.prompt_tokens["video"] == 7 + 9


async def test_what_goes_on_is_counted(server: ModelServer) -> None:
    server.gate.clear()
    server.will(*[hello()] * 2)
    async with started(server, openai_concurrency=1) as one:
        tasks = [asyncio.create_task(answer(one, ask("Hi"))) for _ in range(2)]
        await until(lambda: server.num_running == 1)
        chat = one.stats().of("chat")
        assert (chat.num_running, chat.num_waiting) == (1, 1)
        server.gate.set()
        await asyncio.gather(*tasks)
