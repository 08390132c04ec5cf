"""The curl lines of the product's documents, on files whose truth is known."""

import base64
import json
import struct
import zlib
from pathlib import Path

import pytest

from tests.e2e.conftest import curl

pytestmark = pytest.mark.e2e

JSON = ("--header", "Content-Type: application/json")


def analyze(url: str, kind: str, file: Path, prompt: str) -> dict[str, object]:
    """The upload lines of seed 003."""
    reply = curl(
        "-X", "POST", f"{url}/analyze_{kind}",
        "-H", "Content-Type: multipart/form-data",
        "-F", f"{kind}=@{file}",
        "-F", f"metadata={json.dumps({'prompt': prompt})};type=application/json",
    )  # fmt: skip
    assert reply.status == 200, reply.text
    return reply.json


def test_a_video_is_described(url: str, files: Path) -> None:
    prompt = "Please describe what is happening in this video"
    reply = analyze(url, "video", files / "left.mp4", prompt)
    assert reply["status"] == "success"
    assert reply["error"] is None
    said = str(reply["response"]).lower()
    assert "red circle" in said
    assert "left" in said
    assert "blue square" in said
    seen = reply["video_info"]
    assert isinstance(seen, dict)
    assert seen["frame_count"] == len(seen["frame_times"]) == 8
    assert seen["video_duration"] == 4.0
    assert seen["frame_times"][0] == 0.0
    assert seen["codec"] == "h264"


def test_an_image_is_described(url: str, files: Path) -> None:
    reply = analyze(url, "image", files / "fire.png", "Please describe what is in this image")
    assert "fire" in str(reply["response"])
    assert "car" in str(reply["response"])
    assert reply["image_info"] == {"width": 640, "height": 360, "format": "png"}


@pytest.mark.parametrize(
    ("name", "question", "first_word"),
    [
        ("person.mp4", "Is there a person?", "yes"),
        ("person.mp4", "Is there a fire?", "no"),
        ("fire.mp4", "Is there a fire?", "yes"),
        ("left.mp4", "Is anything moving?", "yes"),
        ("person.mp4", "Is anything moving?", "no"),
    ],
)
def test_a_yes_or_no_question_is_answered_truly(
    url: str, files: Path, name: str, question: str, first_word: str
) -> None:
    said = str(analyze(url, "video", files / name, question)["response"]).lower()
    assert said.startswith(first_word)


@pytest.mark.parametrize("kind", ["video", "image"])
def test_a_url_is_fetched(url: str, hosts: str, kind: str) -> None:
    name = "person.mp4" if kind == "video" else "person.png"
    body = {f"{kind}_url": f"{hosts}/{name}", "metadata": {"prompt": "Is there a person?"}}
    reply = curl("-X", "POST", f"{url}/analyze_{kind}", *JSON, "-d", json.dumps(body))
    assert reply.status == 200, reply.text
    assert str(reply.json["response"]).startswith("Yes")


def test_text_only_chat_is_served(url: str) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"},
        ]
    }
    reply = curl(f"{url}/v1/chat/completions", *JSON, "-d", json.dumps(body))
    assert reply.status == 200
    assert reply.json["object"] == "chat.completion"


def test_an_image_url_is_seen(url: str, hosts: str) -> None:
    part = {"type": "image_url", "image_url": {"url": f"{hosts}/person.png"}}
    text = {"type": "text", "text": "What is in this image?"}
    body = {"messages": [{"role": "user", "content": [text, part]}], "max_tokens": 300}
    body["temperature"] = 0
    reply = curl(
        "--location", "--request", "POST", f"{url}/v1/chat/completions", *JSON,
        "--data", json.dumps(body),
    )  # fmt: skip
    assert reply.status == 200, reply.text
    assert "yellow person" in reply.text


def test_a_png_data_url_is_seen(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{icon()}"}}
    text = {"type": "text", "text": "Describe this icon."}
    body = {"messages": [{"role": "user", "content": [text, part]}], "max_tokens": 128}
    reply = curl(f"{url}/v1/chat/completions", *JSON, "--data", json.dumps(body))
    assert reply.status == 200, reply.text
    assert reply.json["media_info"] == [
        {"type": "image", "width": 16, "height": 16, "format": "png"}
    ]


def icon() -> str:
    """A PNG of 16 x 16 red pixels with an alpha channel, as base64."""
    rows = b"".join(b"\0" + b"\xe0\x10\x10\xff" * 16 for _ in range(16))

    def chunk(name: bytes, payload: bytes) -> bytes:
        checksum = zlib.crc32(name + payload)
        return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 16, 16, 8, 6, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def test_the_jps_alias_answers_in_its_dialect(url: str) -> None:
    stream = {"type": "stream", "stream": {"stream_id": "aaa"}}
    text = {"type": "text", "text": "Can you describe the scene?"}
    body = {
        "messages": [
            {"role": "system", "content": "You are a helpful AI assistant."},
            {"role": "user", "content": [stream, text]},
        ],
        "min_tokens": 1,
        "max_tokens": 128,
    }
    reply = curl("--location", f"{url}/api/v1/chat/completions", *JSON, "--data", json.dumps(body))
    assert reply.status == 404
    assert reply.json == {"detail": "No stream has been added."}


def test_dashinfer_clients_send_frames_as_a_list(url: str, files: Path) -> None:
    frame = base64.b64encode((files / "person.png").read_bytes()).decode()
    part = {"type": "video_url", "video_url": {"url": [frame, frame], "fps": 2}}
    text = {"type": "text", "text": "Is there a person?"}
    body = {"messages": [{"role": "user", "content": [part, text]}], "temperature": 0}
    reply = curl(f"{url}/v1/chat/completions", *JSON, "--data", json.dumps(body))
    assert reply.status == 200, reply.text
    assert '"frame_times":[0.0,0.5]' in reply.text.replace(" ", "")
