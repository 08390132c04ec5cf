"""The README's walk from a camera to everybody who is told, typed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.serving import free_port
from tests.e2e.alerting import Api, demo_camera, until
from tests.e2e.hosts import HOST
from tests.e2e.test_readme import ADDRESS, ALERTS, DEMO_CAMERA, blocks

pytestmark = pytest.mark.e2e

RECEIVER, SOCKET = blocks("python", ALERTS)
SET_UP, FEED, EVENTS, TAKEN_DOWN = blocks("bash", ALERTS)


@contextmanager
def running(*command: str) -> Iterator[Iterator[str]]:
    """A program that is ended with the block; what it says."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout)
        finally:
            process.kill()


def python(script: str) -> tuple[str, ...]:
    return sys.executable, "-c", script


def bash(commands: str, folder: Path) -> str:
    typed = commands.replace("curl ", "curl --silent --fail-with-body ")
    done = subprocess.run(
        ["bash", "-ec", typed], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def first_begin(lines: Iterator[str], rule_id: str) -> dict[str, object]:
    """The first event of a rule that a feed tells of."""
    for line in lines:
        if line.startswith("data: "):
            message = json.loads(line.removeprefix("data: "))
            if message["kind"] == "begin" and message["event"]["rule_id"] == rule_id:
                event: dict[str, object] = message["event"]
                return event
    raise AssertionError("the feed ended")


def test_a_rule_is_set_and_everybody_is_told(url: str, tmp_path: Path) -> None:
    port = free_port()
    receiver = RECEIVER.replace('("127.0.0.1", 9000)', f'("{HOST}", {port})')
    socket = SOCKET.replace(ADDRESS.replace("http", "ws"), url.replace("http", "ws"))
    with (
        demo_camera() as said,
        running(*python(receiver)) as told,
        running(*python(socket)) as alarm,
        running("bash", "-c", FEED.replace("curl", "exec curl -s").replace(ADDRESS, url)) as feed,
    ):
        camera = str(next(said)["url"]).split("/")[2]
        set_up = SET_UP.replace(ADDRESS, url).replace(DEMO_CAMERA, camera)
        said_back = bash(set_up.replace("127.0.0.1:9000", f"{HOST}:{port}"), tmp_path)
        assert '"state":"running"' in said_back
        assert '"secret":"***"' in said_back
        assert '{"detail":"Alert rules set"}' in said_back
        event = first_begin(feed, "car")
        assert next(told) == f"begin Is there a car? {event['began_at']}\n"
        assert "vlm_alert" in next(alarm)
        until(lambda: clip_is_ready(url, event), "the clip")
        events = EVENTS.replace(ADDRESS, url).replace("EVENT_ID", str(event["id"]))
        assert json.loads(bash(events, tmp_path))["data"][0]["id"] == event["id"]
        gone = bash(TAKEN_DOWN.replace(ADDRESS, url), tmp_path)
    assert '{"detail":"Alert rules cleared"}' in gone
    assert '"deleted":true' in gone
    assert (tmp_path / "car.jpg").read_bytes().startswith(b"\xff\xd8")
    assert b"ftyp" in (tmp_path / "car.mp4").read_bytes()[:16]


def clip_is_ready(url: str, event: dict[str, object]) -> bool:
    return bool(Api(url).get(f"/v1/events/{event['id']}")["evidence"]["clip_ready"])
