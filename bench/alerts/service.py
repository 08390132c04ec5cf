"""The service, the camera and the receiver of the alerts benchmark, and what they are asked."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import requests

from bench.alerts.truth import Span
from demo.leash import leashed
from demo.nouns import with_article
from demo.scenes import COLOURS, KINDS

TIMEOUT_S = 60
SIZE = "640x360"
FPS = "15"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # on a shared machine, threads would wait for each other
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that a rule asks for: things of a kind, of a colour, or of both."""

    kind: str | None
    colour: str | None

    @property
    def prompt(self) -> str:
        """The question."""
        if self.kind is None:
            return f"Is there anything {self.colour}?"
        named = self.kind if self.colour is None else f"{self.colour} {self.kind}"
        return f"Is there {with_article(named)}?"

    @property
    def rule_id(self) -> str:
        """The id of its rule."""
        return "-".join(word for word in ("r", self.colour, self.kind) if word)


SUBJECTS = (
    *(Subject(kind, None) for kind in KINDS),
    *(Subject(None, colour) for colour in COLOURS),
    *(Subject(kind, colour) for kind, colour in zip(KINDS, COLOURS, strict=False)),
)  # 22 of them


@dataclass(frozen=True, slots=True)
class Presence:
    """One thing can be seen from when to when, Unix seconds."""

    kind: str
    colour: str
    span: Span

    def is_of(self, subject: Subject) -> bool:
        """Whether it is what is asked for."""
        return subject.kind in (None, self.kind) and subject.colour in (None, self.colour)


@dataclass(slots=True)
class Camera:
    """The demo camera in a process of its own, and what it has said so far."""

    url: str
    presences: list[Presence] = field(default_factory=list)


@contextmanager
def demo_camera(seed: int) -> Iterator[Camera]:
    """The camera while the block lasts."""
    options = ["--seed", str(seed), "--port", "0", "--size", SIZE, "--fps", FPS]
    command = [sys.executable, "-m", "demo.camera", *options]
    with subprocess.Popen(leashed(command), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        camera = Camera(json.loads(process.stdout.readline())["url"])
        listener = threading.Thread(target=_listen, args=(process.stdout, camera))
        listener.start()
        try:
            yield camera
        finally:
            process.kill()
            listener.join()


def _listen(lines: Iterator[str], camera: Camera) -> None:
    for line in lines:
        said = json.loads(line)
        span = Span(moment_s(said["begin"]), moment_s(said["end"]))
        camera.presences.append(Presence(said["kind"], said["colour"], span))


@dataclass(frozen=True, slots=True)
class Told:
    """A webhook's message and when it came, Unix seconds."""

    arrived_s: float
    kind: str
    event: Json


@contextmanager
def receiver() -> Iterator[tuple[str, list[Told]]]:
    """Where webhooks go while the block lasts, and what came."""
    told: list[Told] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is the library's
            """Take one."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.append(Told(time.time(), body["kind"], body["event"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def moment_s(text: object) -> float:
    """Unix seconds of an RFC 3339 moment."""
    return datetime.fromisoformat(str(text)).timestamp()


def add_stream(url: str, stream_id: str, source: str, **fields: object) -> None:
    """Add a live stream and wait for its first frame."""
    body = {"id": stream_id, "url": source, **fields}
    reply = requests.post(f"{url}/v1/streams?wait_s=15", json=body, timeout=TIMEOUT_S)
    reply.raise_for_status()
    if reply.json()["state"] != "running":
        raise RuntimeError(f"the stream does not run: {reply.text}")


def add_rules(url: str, subjects: Sequence[Subject], **fields: object) -> None:
    """One rule for each subject."""
    for subject in subjects:
        body = {"id": subject.rule_id, "prompt": subject.prompt, "cooldown_s": 0, **fields}
        requests.post(f"{url}/v1/rules", json=body, timeout=TIMEOUT_S).raise_for_status()


def delete_rules(url: str, subjects: Sequence[Subject]) -> None:
    """Delete the rules of these subjects."""
    for subject in subjects:
        reply = requests.delete(f"{url}/v1/rules/{subject.rule_id}", timeout=TIMEOUT_S)
        reply.raise_for_status()


def statuses(url: str, subject: Subject) -> list[dict[str, float]]:
    """How a rule stands on each of its streams."""
    reply = requests.get(f"{url}/v1/rules/{subject.rule_id}", timeout=TIMEOUT_S)
    found: list[dict[str, float]] = reply.json()["status"]
    return found


def processor_s(family: Sequence[psutil.Process]) -> float:
    """Processor seconds that processes have used, their ended children apart."""
    return sum(times.user + times.system for times in (one.cpu_times() for one in family))


def service_family() -> list[psutil.Process]:
    """The service's processes, when nothing else was started here."""
    return psutil.Process().children(recursive=True)
