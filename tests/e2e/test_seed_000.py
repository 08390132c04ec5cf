"""Seed 000 from its first curl line to the last thing it names, on the demo camera."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import cv2
import pytest

from demo.scenes import KINDS
from demo.serving import free_port, served
from tests.e2e.alerting import demo_camera, read, socket
from tests.e2e.conftest import curl

pytestmark = pytest.mark.e2e

JSON = ("--header", "Content-Type: application/json")
ALERTS = [f"Is there a {kind}?" for kind in KINDS]


RTSP_PORT = free_port()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served({"VLM_RTSP_PORT": str(RTSP_PORT)}) as base:
        yield base


def post(url: str, path: str, body: dict[str, object]) -> dict[str, object]:
    """As the seed writes it."""
    reply = curl("--location", f"{url}{path}", *JSON, "--data", json.dumps(body))
    assert reply.status == 200, reply.text
    return reply.json


def test_a_camera_is_added_asked_watched_seen_and_removed(url: str) -> None:
    with demo_camera() as said:
        stream_id = post(url, "/api/v1/live-stream", {"liveStreamUrl": next(said)["url"]})["id"]
        check_chat(url)
        with socket(url, "/api/v1/alerts/ws") as alarms:
            set_alerts = post(url, "/api/v1/alerts", {"alerts": ALERTS, "id": stream_id})
            assert set_alerts == {"detail": "Alert rules set"}
            check_alarm(read(alarms), stream_id)
        check_pictures(f"{url}/v1/streams/{stream_id}/preview.mjpeg?fps=10&overlay=1")
        check_pictures(f"rtsp://127.0.0.1:{RTSP_PORT}/out")
    removed = curl("-X", "DELETE", f"{url}/api/v1/live-stream/{stream_id}")
    assert removed.json == {"detail": "Stream removed successfully"}
    assert curl(f"{url}/api/v1/live-stream").text == "[]"
    assert curl(f"{url}/api/v1/alerts").text == "[]"


def check_chat(url: str) -> None:
    """The seed's question; "you can provide any random letter"."""
    stream = {"type": "stream", "stream": {"stream_id": "aaa"}}
    text = {"type": "text", "text": "Can you describe the scene?"}
    messages = [
        {"role": "system", "content": "You are a helpful AI assistant."},
        {"role": "user", "content": [stream, text]},
    ]
    body = {"messages": messages, "min_tokens": 1, "max_tokens": 128}
    choices = post(url, "/api/v1/chat/completions", body)["choices"]
    assert isinstance(choices, list)
    (choice,) = choices
    assert (choice["index"], choice["message"]["role"]) == (0, "assistant")
    assert choice["message"]["content"]


def check_alarm(alarm: dict[str, str], stream_id: object) -> None:
    rule = alarm["rule_string"]
    assert alarm == {
        "title": "VLM Alert Triggered",
        "description": f"The VLM has determined the alert rule: {rule} is True!",
        "alert_id": f"r{ALERTS.index(rule)}",
        "type": "vlm_alert",
        "rule_string": rule,
        "timestamp": alarm["timestamp"],
        "stream_id": stream_id,
    }
    seen_at = datetime.strptime(alarm["timestamp"], "%Y-%m-%d %H:%M:%S")
    assert abs(datetime.now() - seen_at) < timedelta(minutes=1)


def check_pictures(address: str) -> None:
    """A player shows the camera."""
    capture = cv2.VideoCapture(address)
    pictures = [capture.read() for _ in range(3)]
    capture.release()
    assert [ok for ok, _ in pictures] == [True] * 3
    heights, widths, _ = zip(*(picture.shape for _, picture in pictures), strict=True)
    assert {width / height for width, height in zip(widths, heights, strict=True)} == {16 / 9}
