"""``/v1/responses``: what is read, and what is answered."""

import json
from typing import Any

import pytest
from openai.types.responses import Response as OpenAIResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from api.response_replies import ResponseReply
from contracts.answer_forms import ANY_OBJECT, JsonForm
from contracts.chat import ImagePart, VideoPart
from contracts.errors import DownloadFailed, OutOfMemory, QueueFull, RequestTimeout
from contracts.generation import FinishReason, PromptTokens, SamplingParams, TokenDelta, Usage
from runners.scripted import ScriptedRunner
from tests.api.fakes import ADMITTED, DeltaRunner, FakeMedia, saying, serve, texts_of

PATH = "/v1/responses"
IMAGE = {"type": "input_image", "detail": "auto", "image_url": "a.png"}
VIDEO = {"type": "input_video", "video_url": {"url": "v.mp4", "num_frames": 3}}
CUT = TokenDelta(" cats", finish_reason=FinishReason.LENGTH, usage=Usage(PromptTokens(3), 1, 2))
USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {
        "cached_tokens": 0,
        "text_tokens": 1,
        "image_tokens": 0,
        "video_tokens": 0,
        "cache_write_tokens": 0,
    },
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 3,
}


def text(said: str, kind: str = "input_text") -> dict[str, object]:
    return {"type": kind, "text": said}


def item(*parts: object, role: str = "user", **more: object) -> dict[str, object]:
    return {"role": role, "content": list(parts), **more}


def ask(runner: ScriptedRunner, asked: object = "hi", **body: object) -> dict[str, Any]:
    reply = serve(runner).post(PATH, json={"input": asked, **body})
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    ResponseReply.model_validate(made)
    OpenAIResponse.model_validate(made, strict=True)
    return made


def refusal(asked: object = "hi", **body: object) -> tuple[str, str | None]:
    reply = serve().post(PATH, json={"input": asked, **body})
    error = reply.json()["error"]
    assert reply.status_code == 400, error
    return error["code"], error["param"]


def test_the_reply_is_the_one_of_the_api() -> None:
    reply = ask(saying("Two", " cats."))
    assert reply.pop("id").startswith("resp_")
    assert reply["output"][0].pop("id").startswith("msg_")
    assert isinstance(reply.pop("created_at"), int)
    said = {"type": "output_text", "text": "Two cats.", "annotations": [], "logprobs": []}
    assert reply == {
        "object": "response",
        "status": "completed",
        "model": "m",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "output": [
            {"type": "message", "status": "completed", "role": "assistant", "content": [said]}
        ],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1,
        "top_p": 1,
        "max_output_tokens": None,
        "previous_response_id": None,
        "store": False,
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "metadata": {},
        "media_info": [],
        "usage": USAGE,
    }


def test_what_n8n_sends_is_answered() -> None:
    runner = saying("A cat.")
    body = {
        "model": "m-vision",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is in this image?"},
                    {"type": "input_image", "detail": "auto", "image_url": "a.png"},
                ],
            }
        ],
        "max_output_tokens": 300,
    }
    reply = serve(runner).post(PATH, json=body)
    assert "x-ignored-parameters" not in reply.headers
    made = reply.json()
    assert made["output"][0]["content"][0]["text"] == "A cat."
    assert made["max_output_tokens"] == 300
    assert made["media_info"] == [{"type": "image", "width": 6, "height": 4, "format": "png"}]
    (request,) = runner.requests
    assert request.sampling == SamplingParams(max_tokens=300, temperature=1.0)
    assert isinstance(request.messages[0].parts[1], ImagePart)


def test_a_conversation_is_read_in_order() -> None:
    runner = saying("ok")
    asked = [
        item(text("Be brief."), role="developer"),
        item(text("What is this?"), IMAGE, type="message"),
        {"type": "reasoning", "id": "rs_1", "summary": []},
        item(text("A cat.", "output_text"), role="assistant", id="msg_1", status="completed"),
        {"role": "user", "content": "And this?"},
        item(VIDEO, {"type": "input_video", "video_url": "w.mp4"}),
    ]
    ask(runner, asked, instructions="You see.")
    (request,) = runner.requests
    assert texts_of(request.messages) == [
        ("system", "You see.\nBe brief."),
        ("user", "What is this?"),
        ("assistant", "A cat."),
        ("user", "And this?"),
        ("user", ""),
    ]
    clips = [part for part in request.messages[-1].parts if isinstance(part, VideoPart)]
    assert [len(part.clip.frames) for part in clips] == [3, 8]


def test_parameters_become_those_of_the_model_and_come_back() -> None:
    runner = saying("{}")
    reply = ask(
        runner,
        temperature=0,
        top_p=0.5,
        max_output_tokens=9,
        metadata={"a": "b"},
        instructions="Look.",
        text={"format": {"type": "json_object"}},
    )
    form = JsonForm(ANY_OBJECT)
    wanted = SamplingParams(max_tokens=9, temperature=0, top_p=0.5, form=form)
    assert runner.requests[0].sampling == wanted
    repeated = ("temperature", "top_p", "max_output_tokens", "metadata", "instructions")
    assert [reply[name] for name in repeated] == [0, 0.5, 9, {"a": "b"}, "Look."]
    assert reply["text"] == {"format": {"type": "json_object"}}


def test_a_schema_comes_back_as_it_was_sent() -> None:
    runner = saying("1")
    sent = {"type": "json_schema", "name": "one", "schema": {"const": 1, "title": "x"}}
    reply = ask(runner, text={"format": sent})
    assert reply["text"]["format"] == sent | {"strict": False, "description": None}
    form = runner.requests[0].sampling.form
    assert form == JsonForm('{"const":1}', "one")
    assert form.path == "text.format.schema"


def test_an_answer_that_is_cut_says_so() -> None:
    reply = ask(DeltaRunner(ADMITTED, TokenDelta("Two"), CUT))
    assert reply["status"] == "incomplete"
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert reply["output"][0]["status"] == "incomplete"
    assert reply["output"][0]["content"][0]["text"] == "Two cats"
    assert reply["usage"]["input_tokens_details"]["cached_tokens"] == 1


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"asked": []}, "invalid_request", "input"),
        ({"asked": None}, "invalid_request", "input"),
        ({"asked": [item(role="robot")]}, "invalid_request", "input[0].role"),
        ({"asked": [{"role": "user"}]}, "invalid_request", "input[0].content"),
        (
            {"asked": [{"type": "function_call_output", "call_id": "c"}]},
            "unsupported_value",
            "input[0]",
        ),
        ({"asked": [{"type": "item_reference", "id": "i"}]}, "unsupported_value", "input[0]"),
        ({"asked": [{"type": [], "role": "user"}]}, "unsupported_value", "input[0]"),
        ({"asked": [{"type": {}, "role": "user"}]}, "unsupported_value", "input[0]"),
        (
            {"asked": [item({"type": "input_file", "file_id": "f"})]},
            "unsupported_value",
            "input[0].content[0]",
        ),
        (
            {"asked": [item({"type": "input_image", "file_id": "f"})]},
            "unsupported_value",
            "input[0].content[0]",
        ),
        ({"asked": [item({"type": "input_image"})]}, "missing_media", "input[0].content[0]"),
        (
            {"asked": [item(IMAGE | {"image_url": {"url": "a.png"}})]},
            "invalid_request",
            "input[0].content[0].image_url",
        ),
        ({"asked": [item({"type": "input_video"})]}, "missing_media", "input[0].content[0]"),
        ({"asked": [item(IMAGE, role="assistant")]}, "invalid_request", "input[0].content[0].type"),
        ({"max_output_tokens": 0}, "invalid_request", "max_output_tokens"),
        ({"temperature": 3}, "invalid_request", "temperature"),
        ({"metadata": {"a": 1}}, "invalid_request", "metadata.a"),
        ({"tool_choice": "required"}, "unsupported_parameter", "tool_choice"),
        ({"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"background": True}, "unsupported_parameter", "background"),
        ({"text": {"format": {"type": "xml"}}}, "unsupported_value", "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "invalid_request", "text.format.name"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": 1}}}},
            "invalid_request",
            "text.format.schema.type",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(body: dict[str, Any], code: str, param: str) -> None:
    assert refusal(**body) == (code, param)


def test_media_that_fail_are_told_with_their_place() -> None:
    media = FakeMedia(errors={"a.png": DownloadFailed("gone", kind="image")})
    reply = serve(media=media).post(PATH, json={"input": [item(text("x"), IMAGE)]})
    assert reply.json()["error"]["param"] == "input[0].content[1].image_url"


def test_what_is_not_used_is_named() -> None:
    asked = [item(IMAGE | {"foo": 1}, VIDEO | {"video_url": {"url": "v", "bar": 1}})]
    body = {"input": asked, "tools": [{"type": "web_search"}], "seed": 1, "text": {"baz": 1}}
    reply = serve().post(PATH, json=body | {"store": True, "include": [], "user": "u"})
    named = "tools, seed, text.baz, input[0].content[0].foo, input[0].content[1].video_url.bar"
    assert reply.headers["x-ignored-parameters"] == named


def test_nothing_is_kept() -> None:
    reply = serve().get(f"{PATH}/resp_1")
    assert reply.status_code == 404
    assert "keeps nothing" in reply.json()["error"]["message"]


def frames(runner: ScriptedRunner, **body: object) -> list[dict[str, Any]]:
    """The events of a response; checks names, numbers and the types of the openai package."""
    reply = serve(runner).post(PATH, json={"input": "hi", "stream": True, **body})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    *blocks, rest = reply.text.split("\n\n")
    assert rest == ""
    told = []
    for block in blocks:
        name, _, data = block.partition("\n")
        one = json.loads(data.removeprefix("data: "))
        assert name == f"event: {one['type']}"
        TypeAdapter(ResponseStreamEvent).validate_python(one, strict=True)
        told.append(one)
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    return told


def test_the_events_are_those_of_the_api() -> None:
    told = frames(saying("Two", " cats."))
    assert [one["type"].removeprefix("response.") for one in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    first, last = told[0]["response"], told[-1]["response"]
    assert (first["status"], first["output"], first["usage"]) == ("in_progress", [], None)
    assert last["usage"] == USAGE
    assert last["output"] == [told[-2]["item"]]
    assert last["output"][0]["content"] == [told[-3]["part"]]
    assert "".join(one["delta"] for one in told[4:6]) == told[6]["text"] == "Two cats."
    assert {one["item_id"] for one in told[3:8]} == {told[2]["item"]["id"]}
    assert {one["response"]["id"] for one in (told[0], told[1], told[-1])} == {last["id"]}


def test_a_stream_that_is_cut_ends_as_incomplete() -> None:
    last = frames(DeltaRunner(ADMITTED, TokenDelta("Two"), CUT))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RequestTimeout("late"), "late"),
        (OutOfMemory("too long"), "too long"),
        (ZeroDivisionError("secret"), "internal error"),
    ],
)
def test_a_fault_in_the_stream_is_its_last_event(error: Exception, told: str) -> None:
    last = frames(DeltaRunner(ADMITTED, TokenDelta("Two"), error))[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["code"] == "server_error"
    assert told in last["response"]["error"]["message"]
    assert last["response"]["output"][0]["content"][0]["text"] == "Two"


def test_what_can_be_refused_is_refused_before_the_stream() -> None:
    runner = DeltaRunner(QueueFull("full", retry_after_s=1))
    reply = serve(runner).post(PATH, json={"input": "hi", "stream": True})
    assert reply.status_code == 429
    assert reply.json()["error"]["code"] == "queue_full"
