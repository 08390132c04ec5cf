"""Cameras of this machine, played by ``fake_v4l2.c`` to the real system calls."""

import json
import os
import queue
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import SourceError, SourceNotPermitted, SourceUnreachable, SourceUnsupported
from live.jpeg import to_jpeg
from live.sources.v4l2_device import V4l2Device, device_error
from tests.live.pictures import numbered

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    path = tmp_path_factory.mktemp("shim") / "fake_v4l2.so"
    source = str(Path(__file__).with_name("fake_v4l2.c"))
    libraries = ["-ldl", "-lpthread"]
    subprocess.run(
        [gcc, "-O2", "-shared", "-fPIC", "-o", str(path), source, *libraries], check=True
    )
    return path


class Child:
    """The capturing process, and the switch of its camera."""

    def __init__(self, process: subprocess.Popen[str], control: Path) -> None:
        self._process = process
        self._control = control
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def camera(self, does: str) -> None:
        self._control.write_text(does)

    def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def ask(self, word: str, key: str) -> dict[str, Any]:
        self.tell(word)
        return self.wait_for(lambda line: key in line)

    def wait_for_state(self, state: str) -> dict[str, Any]:
        return self.wait_for(lambda line: line.get("state") == state)

    def wait_for(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            line = self._lines.get(timeout=PATIENCE_S)
            if is_it(line):
                return line

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.returncode == 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))


@contextmanager
def child(
    shim: Path, folder: Path, *, does: str = "r", jpegs: Path | None = None, stale_s: float = 10
) -> Iterator[Child]:
    control = folder / "control"
    control.write_text(does)
    environment = os.environ | {
        "LD_PRELOAD": str(shim),
        "FAKE_V4L2": "/dev/video9",
        "FAKE_V4L2_CONTROL": str(control),
    }
    if jpegs is not None:
        environment["FAKE_V4L2_MJPEG"] = str(jpegs)
    command = [sys.executable, "-m", "tests.live.sources.v4l2_child", str(stale_s), "2"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    with process:
        one = Child(process, control)
        try:
            yield one
        finally:
            one.close()


def wait_for_numbers(camera: Child, count: int) -> list[int]:
    while True:
        numbers: list[int] = camera.ask("numbers", "numbers")["numbers"]
        if len(numbers) >= count:
            return numbers


def test_raw_pictures_are_sampled_in_order(shim: Path, tmp_path: Path) -> None:
    with child(shim, tmp_path) as camera:
        camera.wait_for_state("running")
        numbers = wait_for_numbers(camera, 8)
        assert numbers == sorted(set(numbers))
        assert numbers[-1] - numbers[0] >= 2 * (len(numbers) - 1)  # 10 of 30 a second
        assert camera.ask("status", "codec")["codec"] == "rawvideo"
        assert camera.ask("age", "age_s")["age_s"] < 10


def test_jpegs_are_sampled_in_order(shim: Path, tmp_path: Path) -> None:
    jpegs = tmp_path / "jpegs"
    pictures = [to_jpeg(numbered(number, (640, 480))) for number in range(1, 301)]
    jpegs.write_bytes(b"".join(struct.pack("<I", len(one)) + one for one in pictures))
    with child(shim, tmp_path, jpegs=jpegs) as camera:
        camera.wait_for_state("running")
        numbers = wait_for_numbers(camera, 8)
        assert numbers == sorted(set(numbers))
        status = camera.ask("status", "codec")
        assert status == {"codec": "mjpeg", "size": [640, 480], "kind": "v4l2"}


def test_a_camera_that_is_pulled_out_is_lost_and_runs_when_it_is_back(
    shim: Path, tmp_path: Path
) -> None:
    with child(shim, tmp_path) as camera:
        camera.wait_for_state("running")
        camera.camera("u")
        assert camera.wait_for_state("lost")["reason"] == "the camera is not plugged in"
        camera.camera("r")
        camera.wait_for_state("running")
        camera.tell("remove")
        camera.tell("quit")
        assert camera.wait_for(lambda line: "descriptors" in line) == {"descriptors": 0}


def test_a_camera_that_comes_later_is_found(shim: Path, tmp_path: Path) -> None:
    with child(shim, tmp_path, does="u") as camera:
        camera.wait_for_state("lost")
        camera.camera("r")
        camera.wait_for_state("running")


def test_a_camera_that_hangs_is_stalled_and_takes_nothing_with_it(
    shim: Path, tmp_path: Path
) -> None:
    with child(shim, tmp_path, stale_s=1.5) as camera:
        camera.wait_for_state("running")
        camera.camera("s")
        camera.wait_for_state("stalled")
        camera.wait_for_state("lost")
        camera.camera("r")
        camera.wait_for_state("running")
        camera.camera("s")
        camera.tell("remove")
        camera.tell("quit")
        assert camera.wait_for(lambda line: "descriptors" in line) == {"descriptors": 0}


def refused(path: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        V4l2Device(path)
    return caught.value


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/dev/video97", SourceUnreachable),
        ("/dev/null", SourceUnsupported),
        ("/dev/zero", SourceUnsupported),
        (str(Path(__file__)), SourceUnsupported),
    ],
)
def test_what_is_no_camera_is_refused_and_nothing_stays_open(
    path: str, error: type[SourceError]
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert isinstance(refused(path), error)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (16, SourceUnreachable),  # EBUSY
        (19, SourceUnreachable),  # ENODEV
        (5, SourceUnreachable),  # EIO
        (13, SourceNotPermitted),  # EACCES
        (25, SourceUnsupported),  # ENOTTY
    ],
)
def test_errors_of_the_kernel_are_translated(number: int, error: type[SourceError]) -> None:
    assert type(device_error(OSError(number, "why"))) is error
