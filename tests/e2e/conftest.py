"""The served bundle, files whose truth is known, and other people's servers."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
import requests

from demo.files import Encoding, write_clip, write_image
from demo.scenes import RGB, Colour, Kind, Motion, Scene, Thing
from demo.serving import served
from tests.e2e.hosts import HOST, other_hosts

SHARED = Path(__file__).resolve().parents[3] / "shared"
GRAY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class Reply:
    """What curl got."""

    status: int
    text: str

    @property
    def json(self) -> dict[str, object]:
        """The body, parsed."""
        parsed: dict[str, object] = json.loads(self.text)
        return parsed


def curl(*arguments: str) -> Reply:
    """Run curl as a person would; the status comes on a line of its own."""
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    text, _, status = done.stdout.rpartition("\n")
    return Reply(int(status), text)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The bundle, served in a process of its own."""
    with served({"VLM_MEDIA_ALLOW": HOST, "VLM_MAX_VIDEO_MB": "4", "VLM_MAX_JSON_MB": "8"}) as base:
        yield base


@pytest.fixture
def still_answers(url: str) -> Iterator[None]:
    """After the test the service must answer as before."""
    yield
    body = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
    assert requests.post(f"{url}/v1/chat/completions", json=body, timeout=30).status_code == 200
    assert requests.get(f"{url}/readyz", timeout=5).status_code == 200


@pytest.fixture(scope="session")
def hosts(files: Path) -> Iterator[str]:
    """A web server on loopback that serves the files, and misbehaves where asked to."""
    with other_hosts(files) as base:
        yield base


def thing(
    kind: Kind,
    colour: Colour,
    start_xy: tuple[float, float],
    end_xy: tuple[float, float] | None = None,
    motion: Motion = Motion.STANDS,
) -> Thing:
    """An object on a course."""
    return Thing(kind, colour, RGB[colour], 0.26, start_xy, end_xy or start_xy, motion)


def scene(*things: Thing, aspect: float = 16 / 9) -> Scene:
    """A plain scene of four seconds."""
    return Scene(things, GRAY, "plain", 0, aspect, 4.0)


SCENES = {
    "left": scene(
        thing(Kind.CIRCLE, Colour.RED, (0.8, 0.5), (0.2, 0.5), Motion.LEFT),
        thing(Kind.SQUARE, Colour.BLUE, (0.5, 0.15)),
    ),
    "person": scene(thing(Kind.PERSON, Colour.YELLOW, (0.5, 0.5))),
    "fire": scene(
        thing(Kind.FIRE, Colour.ORANGE, (0.3, 0.5)), thing(Kind.CAR, Colour.BLACK, (0.7, 0.5))
    ),
    "empty": scene(),
}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips and images of the scenes, by name."""
    folder = tmp_path_factory.mktemp("files")
    for name, one in SCENES.items():
        write_clip(folder / f"{name}.mp4", one, Encoding((640, 360), Fraction(25)))
        write_image(folder / f"{name}.png", one, (640, 360))
    return folder


@pytest.fixture(scope="session")
def broken_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video files of every kind that break things, with a manifest."""
    folder = tmp_path_factory.mktemp("clips")
    command = [sys.executable, str(SHARED / "make_clips.py"), str(folder), "--small"]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    return folder


Chat = Callable[..., str]


@pytest.fixture
def chat(url: str) -> Chat:
    """Ask in one line; the answer's text."""

    def ask(*parts: dict[str, object], **options: object) -> str:
        body = {"messages": [{"role": "user", "content": list(parts)}], "temperature": 0, **options}
        reply = requests.post(f"{url}/v1/chat/completions", json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        content: str = reply.json()["choices"][0]["message"]["content"]
        return content

    return ask
