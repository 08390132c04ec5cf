"""Two bundles: one keeps the cameras, the other one the model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openai import OpenAI

from demo.serving import ask, served
from tests.e2e.alerting import Api, of_kind, scene_camera, sse, until
from tests.e2e.conftest import SCENES
from tests.e2e.test_openai_client import image_part, video_part

pytestmark = pytest.mark.e2e

WAY = "Which way does the red circle move?"


@pytest.fixture(scope="module")
def near(url: str) -> Iterator[str]:
    """The one with the cameras; ``url`` has the model."""
    with served({"VLM_RUNNER": "openai", "VLM_OPENAI_URL": url}) as base:
        yield base


def test_it_is_ready_and_says_what_it_serves(near: str, url: str) -> None:
    (told, _), (far, _) = (requests.get(f"{base}/v1/models", timeout=5).json()["data"]
                           for base in (near, url))  # fmt: skip
    assert told["max_model_len"] == far["max_model_len"]
    assert told["root"] == "lookout-demo"
    assert told["capabilities"]["judging"] == "likelihood"
    assert requests.get(f"{near}/v1/status", timeout=5).json()["model"]["runner"] == "openai"


def test_a_clip_is_sampled_here_and_seen_there(near: str, files: Path) -> None:
    assert "left" in ask(near, files / "left.mp4", WAY)


def test_an_answer_is_the_one_that_is_given_there(near: str, url: str, files: Path) -> None:
    parts = [video_part(files / "left.mp4"), image_part(files / "fire.png")]
    content: Any = [*parts, {"type": "text", "text": "What happens?"}]
    told = []
    for base in (near, url):
        client = OpenAI(api_key="foo", base_url=f"{base}/v1", max_retries=0)
        stream = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": content}],
            temperature=0,
            max_tokens=24,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        told.append((text, chunks[-1].usage))
    (text, usage), (far_text, far_usage) = told
    assert text == far_text
    assert usage is not None
    assert far_usage is not None
    assert usage.total_tokens == far_usage.total_tokens


def test_a_rule_is_judged_there(near: str) -> None:
    api = Api(near)
    with scene_camera() as (pictures, camera), sse(near) as messages:
        assert next(messages)["kind"] == "hello"
        api.add_stream("door", camera.url(), name="Front door")
        api.add_rule("r-person", "door")
        until(lambda: api.rule_on("r-person", "door")["state"] == "off", "a look at nobody")
        pictures.show(SCENES["person"])
        begin = of_kind(messages, "begin")
        api.delete("/v1/streams/door")
    assert begin["event"]["rule_id"] == "r-person"
