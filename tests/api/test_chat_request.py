"""Every parameter of a chat completion: what it accepts, and what it becomes."""

import pytest

from api.chat_request import JPS_RULES, OPENAI_RULES, read_chat
from contracts.errors import ConflictingParameters, RequestError, ServiceError
from contracts.generation import SamplingParams
from contracts.settings import Settings
from tests.api.fakes import image, serve, text, user, video

SETTINGS = Settings(model_name="m", max_new_tokens=100, max_n=4)


def sampling(**body: object) -> SamplingParams:
    return read_chat(user("hi", **body), OPENAI_RULES, SETTINGS).sampling


def refusal(body: object, settings: Settings = SETTINGS) -> ServiceError:
    with pytest.raises(RequestError) as caught:
        read_chat(body, OPENAI_RULES, settings)
    return caught.value


def test_without_parameters_the_defaults_are_openais() -> None:
    assert sampling() == SamplingParams(max_tokens=100, temperature=1.0)


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"max_tokens": 7}, "max_tokens", 7),
        ({"max_completion_tokens": 7}, "max_tokens", 7),
        ({"max_completion_tokens": 7, "max_tokens": 7}, "max_tokens", 7),
        ({"max_completion_tokens": 7, "max_tokens": None}, "max_tokens", 7),
        ({"max_tokens": 10**9}, "max_tokens", 100),
        ({"min_tokens": 5}, "min_tokens", 5),
        ({"min_tokens": 0}, "min_tokens", 0),
        ({"temperature": 0}, "temperature", 0),
        ({"temperature": 2}, "temperature", 2),
        ({"temperature": None}, "temperature", 1),
        ({"top_p": 1}, "top_p", 1),
        ({"top_p": 0.01}, "top_p", 0.01),
        ({"top_k": -1}, "top_k", 0),
        ({"top_k": 0}, "top_k", 0),
        ({"top_k": 40}, "top_k", 40),
        ({"min_p": 0.5}, "min_p", 0.5),
        ({"frequency_penalty": -2}, "frequency_penalty", -2),
        ({"presence_penalty": 2}, "presence_penalty", 2),
        ({"repetition_penalty": 2}, "repetition_penalty", 2),
        ({"logit_bias": {"5": -100, "7": 100}}, "logit_bias", {5: -100, 7: 100}),
        ({"logit_bias": {}}, "logit_bias", {}),
        ({"stop": "x"}, "stop", ("x",)),
        ({"stop": ["x", "y"]}, "stop", ("x", "y")),
        ({"stop": []}, "stop", ()),
        ({"stop": None}, "stop", ()),
        ({"stop_token_ids": [1, 2]}, "stop_token_ids", (1, 2)),
        ({"seed": -(2**63)}, "seed", -(2**63)),
        ({"n": 4}, "num_choices", 4),
        ({"logprobs": True}, "logprobs", True),
        ({"logprobs": True, "top_logprobs": 20}, "top_logprobs", 20),
        ({"top_logprobs": 0}, "top_logprobs", 0),
        ({"modalities": ["text"]}, "num_choices", 1),
        ({"response_format": {"type": "text"}}, "num_choices", 1),
        ({"stream": True, "stream_options": {"include_usage": True}}, "num_choices", 1),
        ({"stream": False, "stream_options": None}, "num_choices", 1),
    ],
)
def test_a_parameter_is_understood(body: dict[str, object], field: str, value: object) -> None:
    assert getattr(sampling(**body), field) == value


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": "5"}, "max_completion_tokens"),
        ({"min_tokens": -1}, "min_tokens"),
        ({"min_tokens": 101}, "min_tokens"),
        ({"min_tokens": 8, "max_tokens": 7}, "min_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"frequency_penalty": 2.1}, "frequency_penalty"),
        ({"presence_penalty": -2.1}, "presence_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repetition_penalty": 2.1}, "repetition_penalty"),
        ({"logit_bias": {"5": 101}}, "logit_bias[5]"),
        ({"logit_bias": {"word": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"logit_bias": {str(i): 1 for i in range(301)}}, "logit_bias"),
        ({"stop": ""}, "stop[0]"),
        ({"stop": "x" * 257}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": 5}, "stop"),
        ({"stop_token_ids": list(range(17))}, "stop_token_ids"),
        ({"stop_token_ids": [-1]}, "stop_token_ids[0]"),
        ({"seed": 2**63}, "seed"),
        ({"n": 0}, "n"),
        ({"n": 5}, "n"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"stream": "true"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream_options": {"include_usage": True}, "stream": False}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"model": 5}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}] * 257}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 1_000_001}]}, "messages"),
        ({"media_io_kwargs": {"video": {"num_frames": 0}}}, "media_io_kwargs.video.num_frames"),
        ({"mm_processor_kwargs": {"fps": 121}}, "mm_processor_kwargs.fps"),
    ],
    ids=str,
)
def test_what_is_out_of_range_is_an_invalid_request(body: dict[str, object], param: str) -> None:
    error = refusal(user("hi") | body)
    assert (error.code, error.param) == ("invalid_request", param)
    assert error.message.startswith(param)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"response_format": {"type": "grammar"}}, "unsupported_value", "response_format.type"),
        ({"modalities": ["text", "audio"]}, "unsupported_value", "modalities"),
        ({"tool_choice": "required"}, "unsupported_parameter", "tool_choice"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            "unsupported_parameter",
            "tool_choice",
        ),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "conflicting_parameters", "max_tokens"),
    ],
)
def test_what_is_not_implemented_is_told(body: dict[str, object], code: str, param: str) -> None:
    error = refusal(user("hi") | body)
    assert (error.code, error.param) == (code, param)


def test_a_conflict_has_both_values() -> None:
    error = refusal(user("hi", max_tokens=5, max_completion_tokens=6))
    assert isinstance(error, ConflictingParameters)
    assert "5" in error.message
    assert "6" in error.message


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert refusal(body).code == "invalid_request"


def test_parameters_without_effect_are_not_reported() -> None:
    silent = {
        "user": "u", "metadata": {"a": 1}, "store": True, "service_tier": "auto",
        "safety_identifier": "s", "prompt_cache_key": "k", "parallel_tool_calls": False,
        "reasoning_effort": "low", "verbosity": "low", "prediction": {}, "tools": [],
        "tool_choice": None, "functions": None,
    }  # fmt: skip
    assert read_chat(user("hi", **silent), OPENAI_RULES, SETTINGS).ignored == ()


def test_what_is_not_used_is_named() -> None:
    body = user(
        image(foo=1),
        video(bar=1),
        text("hi") | {"baz": 1},
        tools=[{"type": "function"}],
        tool_choice="auto",
        functions=[{}],
        echo=True,
        best_of=3,
        seed=1,
        stream=True,
        stream_options={"qux": 1},
        response_format={"type": "text", "schema": {}},
        media_io_kwargs={"image": {}, "video": {"backend": "x"}},
        mm_processor_kwargs={"crop": 1},
    )
    body["messages"][0]["name"] = "me"  # type: ignore[index]
    assert read_chat(body, OPENAI_RULES, SETTINGS).ignored == (
        "tools",
        "functions",
        "tool_choice",
        "echo",
        "best_of",
        "stream_options.qux",
        "response_format.schema",
        "media_io_kwargs.image",
        "media_io_kwargs.video.backend",
        "mm_processor_kwargs.crop",
        "messages[0].content[0].image_url.foo",
        "messages[0].content[1].video_url.bar",
        "messages[0].content[2].baz",
    )


def test_at_most_sixteen_names_are_in_the_header() -> None:
    body = user("hi", **{f"x{i}": 1 for i in range(20)})
    reply = serve().post("/v1/chat/completions", json=body)
    names = reply.headers["x-ignored-parameters"].split(", ")
    assert names == [f"x{i}" for i in range(16)]


def test_a_name_that_no_header_holds_is_escaped_and_cut() -> None:
    body = user("hi", **{"bad\r\nname, x": 1, "ä": 1, "x" * 1000: 1, "": 1})
    reply = serve().post("/v1/chat/completions", json=body)
    names = reply.headers["x-ignored-parameters"].split(", ")
    assert names == ["bad%0D%0Aname%2C%20x", "%C3%A4", "x" * 128]


def test_the_aliases_take_long_texts_up_to_their_bound() -> None:
    read_chat(user("x" * 20_000), JPS_RULES, SETTINGS)
    assert read_chat(user("x" * 20_001), OPENAI_RULES, SETTINGS)


HUGE = 10**400  # no float holds it


@pytest.mark.parametrize(
    "body",
    [
        user(video(min_pixel=HUGE, max_pixel=5)),
        user(video(min_pixel=5, max_pixel=HUGE)),
        user("hi", max_tokens=HUGE),
        user("hi", top_k=HUGE),
        user("hi", stop_token_ids=[HUGE]),
        user("hi", media_io_kwargs={"video": {"num_frames": HUGE}}),
        user("hi", mm_processor_kwargs={"max_frames": HUGE}),
    ],
)
def test_a_number_beyond_int64_is_refused(body: object) -> None:
    assert "expected <= 9223372036854775807 (less_than_equal)" in refusal(body).message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": [1] * 257}, "messages: expected at most 256 (too_long)"),
        (
            {"messages": [{"role": "user", "content": [1] * 1025}]},
            "messages[0].content: expected at most 1024 (too_long)",
        ),
        (
            user(video(url=[1] * 16_385)),
            "messages[0].content[0].video_url.url: expected at most 16384 (too_long)",
        ),
        (user("hi", modalities=[1] * 17), "modalities: expected at most 16 (too_long)"),
        (
            user("hi", logit_bias=dict.fromkeys(map(str, range(301)), "x")),
            "logit_bias: expected at most 300 (too_long)",
        ),
    ],
)
def test_too_many_of_anything_is_one_problem_and_not_one_for_each(
    body: object, message: str
) -> None:
    assert refusal(body).message == message
