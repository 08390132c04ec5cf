"""What the tests of alerts share: a camera that shows what it is told, and readers of the feeds."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

from contracts.media import U8
from demo.drawing import Stage
from demo.scenes import Scene
from tests.e2e.conftest import SCENES
from tests.live.rtsp_cameras import RtspCamera, rtsp_camera

Json = dict[str, Any]
PATIENCE_S = 60
QUICK = {
    "prompt": "Is there a person?",
    "window": {"seconds": 0.5, "frames": 2},
    "interval_s": 0.5,
    "confirm": {"n": 1, "of": 1},
    "cooldown_s": 0,
}


class SceneCamera:
    """A ``live.rtsp_server.broadcast.PictureSource`` of a scene."""

    size_wh = (640, 360)
    fps = 15.0

    def __init__(self) -> None:
        self.show(SCENES["empty"])

    def show(self, scene: Scene, *, lasts_s: float = 0.01) -> None:
        """Play a scene once, and stay at its end."""
        self._playing = Stage(scene, self.size_wh), time.monotonic(), lasts_s

    def watched(self) -> AbstractContextManager[None]:
        return nullcontext()

    def picture(self) -> U8:
        stage, began_s, lasts_s = self._playing
        return stage.frame(min(1.0, (time.monotonic() - began_s) / lasts_s))


@contextmanager
def scene_camera(port: int = 0) -> Iterator[tuple[SceneCamera, RtspCamera]]:
    """An RTSP camera in front of nothing, while the block lasts."""
    pictures = SceneCamera()
    with rtsp_camera(pictures, port=port) as camera:
        yield pictures, camera


@contextmanager
def demo_camera(port: int = 0) -> Iterator[Iterator[Json]]:
    """``make camera`` as a process that is killed in the end; its lines."""
    command = [sys.executable, "-m", "demo.camera", "--port", str(port), "--size", "640x360"]
    command += ["--fps", "15"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield (json.loads(line) for line in process.stdout)
        finally:
            process.kill()


class Api:
    """A client of the JSON routes; every answer must be a success."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401  # JSON
        return self._call("GET", path, params=query)

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> Any:  # noqa: ANN401
        return self._call("DELETE", path)

    def file(self, path: str) -> requests.Response:
        return self._reply("GET", path)

    def add_stream(self, stream_id: str, source: str, **fields: object) -> None:
        body = {"id": stream_id, "url": source, **fields}
        assert self.post("/v1/streams?wait_s=15", body)["state"] == "running"

    def add_rule(self, rule_id: str, stream_id: str, **fields: object) -> None:
        self.post("/v1/rules", {**QUICK, "id": rule_id, "stream_id": stream_id, **fields})

    def ask(self, stream: Json, question: str) -> str:
        """What the model says of a live stream."""
        parts = [{"type": "stream", "stream": stream}, {"type": "text", "text": question}]
        body = {"messages": [{"role": "user", "content": parts}], "temperature": 0}
        reply = self.post("/v1/chat/completions", body)
        return str(reply["choices"][0]["message"]["content"])

    def rule_on(self, rule_id: str, stream_id: str) -> Json:
        """How a rule stands on a stream."""
        found = self.get(f"/v1/rules/{rule_id}")["status"]
        status: Json = next(one for one in found if one["stream_id"] == stream_id)
        return status

    def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401
        return self._reply(method, path, **options).json()

    def _reply(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401
        reply = self._session.request(method, self.url + path, timeout=PATIENCE_S, **options)
        assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S} s for: {what}"
        time.sleep(0.1)


@contextmanager
def sse(url: str, last_event_id: str = "", **query: str) -> Iterator[Iterator[Json]]:
    """The messages of the feed as server-sent events; the first is the greeting."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    address = f"{url}/v1/events/feed"
    with requests.get(
        address, params=query, headers=headers, stream=True, timeout=PATIENCE_S
    ) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield _events(reply)


def _events(reply: requests.Response) -> Iterator[Json]:
    told: dict[str, str] = {}
    deadline_s = time.monotonic() + PATIENCE_S
    for line in reply.iter_lines(chunk_size=1, decode_unicode=True):
        assert time.monotonic() < deadline_s, f"no message in {PATIENCE_S} s"
        name, _, text = line.partition(": ")
        if line:
            told[name] = text
        elif "data" in told:
            message = json.loads(told["data"])
            assert (told["id"], told["event"]) == (message["cursor"], message["kind"])
            yield message
            told, deadline_s = {}, time.monotonic() + PATIENCE_S


@contextmanager
def socket(url: str, path: str) -> Iterator[ClientConnection]:
    with connect(url.replace("http", "ws") + path) as connected:
        yield connected


def read(connected: ClientConnection) -> Json:
    message: Json = json.loads(connected.recv(timeout=PATIENCE_S))
    return message


def of_kind(messages: Iterator[Json], kind: str, **fields: object) -> Json:
    """The next message of a kind whose event has these fields."""
    return next(m for m in messages if m["kind"] == kind and _has(m["event"], fields))


def _has(event: Mapping[str, object], fields: Mapping[str, object]) -> bool:
    return all(event[name] == expected for name, expected in fields.items())
