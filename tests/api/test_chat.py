"""Chat completions, whole: the reply, its choices, its costs, and the two addresses."""

import asyncio

import pytest

from api.app import build_app
from api.reply_schemas import ChatCompletion
from contracts.errors import (
    ContextLengthExceeded,
    DownloadFailed,
    ModelUnavailable,
    QueueFull,
    RequestTimeout,
    ServiceError,
    ShuttingDown,
)
from contracts.generation import (
    Alternative,
    FinishReason,
    PromptTokens,
    Timings,
    TokenDelta,
    TokenLogprob,
    Usage,
)
from runners.scripted import ScriptedRunner
from tests.api.asgi import RawClient
from tests.api.fakes import (
    ADMITTED,
    DeltaRunner,
    FakeMedia,
    deps_of,
    image,
    saying,
    serve,
    text,
    texts_of,
    user,
    video,
)

CHAT = "/v1/chat/completions"
JPS = ["/api/v1/chat/completions", "/api/v1/chat/completion"]
COSTLY = (
    TokenDelta(usage=Usage(PromptTokens(52, 0, 3360))),
    TokenDelta("It ", logprobs=(TokenLogprob(Alternative("It ", -0.5, b"It ")),)),
    TokenDelta(
        "is",
        finish_reason=FinishReason.LENGTH,
        logprobs=(
            TokenLogprob(Alternative("is", -1.0, b"is"), (Alternative("\ufffd", -1.5, b"\xe2"),)),
        ),
        usage=Usage(PromptTokens(52, 0, 3360), cached=12, completion=21),
        timings=Timings(queue_s=0.001, encode_s=0.31, prefill_s=0.64, generate_s=0.7),
    ),
)


def test_the_reply_is_what_the_api_says() -> None:
    media = FakeMedia()
    body = user(video(num_frames=2), text("What?"), image(), model="default", foo=1)
    reply = serve(DeltaRunner(*COSTLY), media).post(CHAT, json=body)
    assert reply.status_code == 200
    got = reply.json()
    ChatCompletion.model_validate(got)
    assert got["id"].startswith("chatcmpl-")
    assert got["model"] == "m"
    assert got["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "It is",
                "refusal": None,
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "length",
        }
    ]
    assert got["usage"] == {
        "prompt_tokens": 3412,
        "completion_tokens": 21,
        "total_tokens": 3433,
        "prompt_tokens_details": {
            "cached_tokens": 12,
            "text_tokens": 52,
            "image_tokens": 0,
            "video_tokens": 3360,
        },
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert got["timings"] == {
        "prompt_n": 3400,
        "prompt_ms": 640,
        "prompt_per_second": 5312.5,
        "predicted_n": 21,
        "predicted_ms": 700,
        "predicted_per_second": 30.0,
        "queue_ms": 1,
        "fetch_ms": 10,
        "decode_ms": 120,
        "encode_ms": 310,
    }
    assert got["media_info"] == [
        {
            "type": "video",
            "frame_count": 2,
            "video_duration": 10.5,
            "frame_times": [0.0, 0.5],
            "source_fps": 30.0,
            "num_source_frames": 315,
            "width": 1280,
            "height": 720,
            "codec": "h264",
            "start_s": 0.0,
            "end_s": 10.5,
            "sampled_by": "default",
            "warnings": [],
        },
        {"type": "image", "width": 6, "height": 4, "format": "png"},
    ]
    assert reply.headers["x-ignored-parameters"] == "foo"
    assert "x-error-code" not in reply.headers


def test_usage_may_be_cut_to_the_totals() -> None:
    usage = serve(DeltaRunner(*COSTLY), usage_details=False).post(CHAT, json=user("hi")).json()
    assert set(usage["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


def test_the_fingerprint_is_stable_for_model_and_version() -> None:
    def fingerprint(name: str) -> str:
        reply = serve(model_name=name).post(CHAT, json=user("hi"))
        return str(reply.json()["system_fingerprint"])

    assert fingerprint("a") == fingerprint("a") != fingerprint("b")
    assert fingerprint("a").startswith("fp_")


def test_logprobs_have_openais_shape() -> None:
    body = user("hi", logprobs=True, top_logprobs=1)
    runner = DeltaRunner(*COSTLY)
    choice = serve(runner).post(CHAT, json=body).json()["choices"][0]
    assert choice["logprobs"] == {
        "content": [
            {"token": "It ", "logprob": -0.5, "bytes": [73, 116, 32], "top_logprobs": []},
            {
                "token": "is",
                "logprob": -1.0,
                "bytes": [105, 115],
                "top_logprobs": [{"token": "\ufffd", "logprob": -1.5, "bytes": [226]}],
            },
        ],
        "refusal": None,
    }
    assert runner.requests[0].sampling.top_logprobs == 1


def test_several_choices_are_told_apart() -> None:
    deltas = [
        ADMITTED,
        TokenDelta("b", 1),
        TokenDelta("a", 0),
        TokenDelta("", 1, FinishReason.STOP),
        TokenDelta("a", 0, FinishReason.LENGTH, usage=Usage(PromptTokens(3), completion=3)),
    ]
    choices = serve(DeltaRunner(*deltas)).post(CHAT, json=user("hi", n=2)).json()["choices"]
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in choices] == [
        (0, "aa", "length"),
        (1, "b", "stop"),
    ]


@pytest.mark.parametrize("deltas", [[ADMITTED], [ADMITTED, TokenDelta("a")], []])
def test_an_answer_that_ends_unfinished_is_a_fault_of_ours(deltas: list[TokenDelta]) -> None:
    reply = serve(DeltaRunner(*deltas)).post(CHAT, json=user("hi"))
    assert reply.status_code == 500


@pytest.mark.parametrize("name", [None, "", "m", "m-vision", "default", "google/gemma-3-4b-it"])
def test_the_model_has_many_names_and_replies_name_the_real_one(name: str | None) -> None:
    reply = serve().post(CHAT, json=user("hi", model=name))
    assert reply.json()["model"] == "m"


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": "hi"}]])
def test_another_model_is_404_and_the_message_names_those_there_are(messages: list[object]) -> None:
    reply = serve().post(CHAT, json={"messages": messages, "model": "gpt-none"})
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "m, m-vision" in error["message"]
    assert "gpt-none" not in error["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ContextLengthExceeded("too long"), 400),
        (QueueFull("full", retry_after_s=7), 429),
        (ModelUnavailable("broken"), 503),
        (ShuttingDown("stopping"), 503),
        (RequestTimeout("late"), 504),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", [CHAT, *JPS])
def test_what_the_runner_refuses_is_a_status_also_of_streams(
    error: ServiceError, status: int, is_streamed: bool, path: str
) -> None:
    reply = serve(DeltaRunner(error)).post(path, json=user("hi", stream=is_streamed))
    assert reply.status_code == status
    assert reply.headers["x-error-code"] == error.code
    assert error.message in reply.text


def test_a_deadline_that_passes_in_the_middle_is_504() -> None:
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), RequestTimeout("late"))
    assert serve(runner).post(CHAT, json=user("hi")).status_code == 504


def test_the_deadline_covers_the_reading_of_media() -> None:
    media = FakeMedia()
    reply = serve(media=media, request_timeout_s=0.05).post(CHAT, json=user(image("hang")))
    assert reply.status_code == 504
    assert reply.headers["x-error-code"] == "request_timeout"
    assert media.num_cancelled == 1


def test_a_medium_that_fails_is_a_400_with_its_path() -> None:
    media = FakeMedia({"b": DownloadFailed("the host did not answer", kind="image")})
    body = user(image("a"), text("?"), image("b"), stream=True)
    reply = serve(media=media).post(CHAT, json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "failed_to_download_image"
    assert reply.json()["error"]["param"] == "messages[0].content[2].image_url"


def test_nothing_is_fetched_for_a_request_that_is_wrong() -> None:
    media = FakeMedia()
    serve(media=media).post(CHAT, json=user(image("a"), n=99))
    assert media.reads == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, "the model is still loading"),
        (JPS[0], '{"detail":"VLM Model is still loading. Please try again later."}'),
    ],
)
def test_while_the_model_loads_it_is_503(path: str, body: str) -> None:
    media = FakeMedia()
    reply = serve(saying("a", card=None), media).post(path, json=user(image("a")))
    assert reply.status_code == 503
    assert reply.headers["x-error-code"] == "model_loading"
    assert reply.headers["x-should-retry"] == "true"
    assert "retry-after" in reply.headers
    assert body in reply.text
    assert media.reads == []


@pytest.mark.parametrize("path", JPS)
def test_the_aliases_have_their_own_defaults(path: str) -> None:
    runner = saying("a", " b")
    reply = serve(runner).post(path, json=user("hi", model="any letter"))
    assert reply.json()["choices"][0]["message"]["content"] == "a b"
    sampling = runner.requests[0].sampling
    assert (sampling.max_tokens, sampling.min_tokens, sampling.temperature) == (128, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 4097},
        {"max_tokens": 0},
        {"min_tokens": 0},
        {"min_tokens": 4097},
        {"messages": [{"role": "user", "content": "a"}] * 101},
        {"messages": [{"role": "user", "content": "x" * 20_001}]},
        {"messages": [{"role": "boss", "content": "x"}]},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_the_aliases_have_their_own_ranges_and_say_422(wrong: dict[str, object]) -> None:
    reply = serve().post(JPS[0], json=user("hi") | wrong)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"][:2] == ["body", next(iter(wrong))]
    assert reply.headers["x-error-code"] == "invalid_request"


def test_the_runner_gets_what_was_asked() -> None:
    runner = saying("a")
    body = {
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "developer", "content": "be kind"},
            {"role": "assistent", "content": [text("hi"), {"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": None},
            {"role": "tool", "content": "42", "tool_call_id": "x"},
            {"role": "system", "content": [text("be"), text("brief")]},
            {"role": "user", "content": [text("what"), image("u"), text("is it?")]},
        ]
    }
    assert serve(runner).post(CHAT, json=body, headers={"X-Request-Id": "abc"}).status_code == 200
    (request,) = runner.requests
    assert texts_of(request.messages) == [
        ("system", "be kind\nbe\nbrief"),
        ("user", "hello"),
        ("assistant", "hi\nno"),
        ("assistant", ""),
        ("user", "42"),
        ("user", "what\nis it?"),
    ]
    kinds = [type(part).__name__ for part in request.messages[-1].parts]
    assert kinds == ["TextPart", "ImagePart", "TextPart"]
    assert request.request_id.startswith("abc/chatcmpl-")
    assert request.work_class == "chat"


async def test_a_client_that_leaves_while_the_answer_grows_ends_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "api")
    runner = DeltaRunner(ADMITTED, TokenDelta("a"), None)
    await _leaves(runner, FakeMedia(), '{"messages":[{"role":"user","content":"hi"}]}')
    assert runner.is_closed
    assert " 499 " in caplog.text


async def test_a_client_that_leaves_while_it_waits_for_admission_ends_it() -> None:
    runner = DeltaRunner(None)
    await _leaves(runner, FakeMedia(), '{"messages":[{"role":"user","content":"hi"}]}')
    assert runner.is_closed


async def test_a_client_that_leaves_while_media_are_read_ends_that() -> None:
    media = FakeMedia()
    part = '{"type":"image_url","image_url":{"url":"hang"}}'
    body = f'{{"messages":[{{"role":"user","content":[{part},{part}]}}]}}'
    await _leaves(saying("a"), media, body)
    assert media.num_cancelled == 2


async def _leaves(runner: ScriptedRunner, media: FakeMedia, body: str) -> None:
    deps = deps_of(runner, media)
    headers = {"content-type": "application/json"}
    client = RawClient(build_app(lambda: deps), CHAT, [body.encode()], headers)
    task = asyncio.create_task(client.run())
    await client.is_read.wait()
    for _ in range(20):  # turns of the loop, in which the work gets as far as it can
        await asyncio.sleep(0)
    client.leave()
    await asyncio.wait_for(task, 5)
    assert client.got_only_499
