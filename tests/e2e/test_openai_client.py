"""The openai package against the served bundle."""

import base64
from pathlib import Path
from typing import Annotated, Any, Literal

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel, Field

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(url: str) -> OpenAI:
    return OpenAI(api_key="foo", base_url=f"{url}/v1", max_retries=0)


def video_part(path: Path, **options: object) -> dict[str, object]:
    payload = base64.b64encode(path.read_bytes()).decode()
    return {
        "type": "video_url",
        "video_url": {"url": f"data:video/mp4;base64,{payload}", **options},
    }


def asked(client: OpenAI, question: str, *parts: dict[str, object], **options: Any) -> Any:  # noqa: ANN401 - the client's overloads do not know our parts
    content: Any = [*parts, {"type": "text", "text": question}]
    return client.chat.completions.create(
        model="google/gemma-3-4b-it",
        messages=[{"role": "user", "content": content}],
        temperature=0,
        **options,
    )


def image_part(path: Path) -> dict[str, object]:
    payload = base64.b64encode(path.read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{payload}"}}


def test_the_models_are_listed(client: OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert ids == ["lookout-demo", "lookout-demo-vision"]
    assert client.models.retrieve("lookout-demo").owned_by == "lookout"


def test_a_clip_is_answered_and_accounted_for(client: OpenAI, files: Path) -> None:
    reply = asked(client, "Which way does the red circle move?", video_part(files / "left.mp4"))
    assert "left" in reply.choices[0].message.content
    assert reply.model == "lookout-demo"
    details = reply.usage.prompt_tokens_details
    assert details.video_tokens == 8 * 6 * 7
    total = details.text_tokens + details.image_tokens + details.video_tokens
    assert total == reply.usage.prompt_tokens


class Sight(BaseModel):
    colour: Literal["red", "green", "blue"]
    shapes: list[Literal["circle", "square"]] = Field(min_length=1, max_length=2)
    count: int = Field(ge=1, le=9)
    note: Annotated[str, Field(max_length=8)] | None


def test_an_answer_is_of_the_form_that_was_asked_for(client: OpenAI, files: Path) -> None:
    content: Any = [video_part(files / "left.mp4"), {"type": "text", "text": "What do you see?"}]
    reply = client.chat.completions.parse(
        model="lookout-demo",
        messages=[{"role": "user", "content": content}],
        response_format=Sight,
        max_tokens=200,
        n=3,
        seed=2,
    )
    for choice in reply.choices:
        assert choice.message.parsed is not None
    label = asked(client, "Busy?", extra_body={"structured_outputs": {"choice": ["yes", "busy"]}})
    assert label.choices[0].message.content in ("yes", "busy")


def test_a_response_is_answered_and_streamed(client: OpenAI, files: Path) -> None:
    payload = base64.b64encode((files / "left.mp4").read_bytes()).decode()
    said: Any = [
        {"type": "input_video", "video_url": f"data:video/mp4;base64,{payload}"},
        {"type": "input_text", "text": "Which way does the red circle move?"},
    ]
    asked_for: dict[str, Any] = {"input": [{"role": "user", "content": said}], "temperature": 0}
    reply = client.responses.create(model="lookout-demo", **asked_for)
    assert "left" in reply.output_text
    with client.responses.stream(model="lookout-demo", **asked_for) as stream:
        assert stream.get_final_response().output_text == reply.output_text


def test_the_stream_says_what_the_answer_says(client: OpenAI, files: Path) -> None:
    part = video_part(files / "left.mp4")
    whole = asked(client, "What happens?", part).choices[0].message.content
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(asked(client, "What happens?", part, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 0
    assert len(chunks) > 4


def test_the_second_question_about_a_clip_reads_only_the_question(
    client: OpenAI, files: Path
) -> None:
    part = video_part(files / "fire.mp4", num_frames=7)
    first, *others = [
        asked(client, f"Is there a {word}?", part) for word in ("fire", "car", "fire")
    ]
    assert others[1].choices[0].message.content == first.choices[0].message.content
    for reply in others:
        details = reply.usage.prompt_tokens_details
        assert details.video_tokens < details.cached_tokens < reply.usage.prompt_tokens


def test_fewer_frames_may_be_asked_for(client: OpenAI, files: Path) -> None:
    part = video_part(files / "person.mp4", num_frames=2)
    reply = asked(client, "Is there a person?", part)
    assert reply.media_info[0]["frame_count"] == 2
    assert reply.choices[0].message.content.startswith("Yes")


def test_an_unknown_model_is_the_clients_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-none", messages=[])
    assert caught.value.code == "model_not_found"
    assert "lookout-demo" in caught.value.message


def test_a_prompt_over_the_context_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        asked(client, "word " * 50_000)
    assert caught.value.code == "context_length_exceeded"


def test_two_images_are_seen_in_order(client: OpenAI, files: Path) -> None:
    parts = [image_part(files / f"{name}.png") for name in ("person", "fire")]
    reply = asked(client, "Describe this image.", *parts)
    assert [one["type"] for one in reply.media_info] == ["image", "image"]
    assert reply.usage.prompt_tokens_details.image_tokens == 2 * 145
