"""The bundle as ``bentoml serve`` serves it, and asking it: for reports, benchmarks and tests."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from demo.leash import leashed

ROOT = Path(__file__).resolve().parent.parent
START_S = 120
ANSWER_S = 120
STOP_S = 20


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Service:
    """A server that was started, with everything it started itself.

    Attributes:
        log: What it has written.
    """

    url: str
    log: Path
    _process: subprocess.Popen[bytes]

    def wait_until_ready(self, path: str = "/readyz", *, start_s: float = START_S) -> None:
        """Wait until questions are answered.

        Args:
            path: Answers 200 from then on.
            start_s: Seconds it has for that.

        Raises:
            RuntimeError: It ended or was not ready in time; the message has its last words.
        """
        deadline_s = time.monotonic() + start_s
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                if requests.get(f"{self.url}{path}", timeout=2).ok:
                    return
            except requests.RequestException:
                pass  # not listening yet
            time.sleep(0.1)
        said = self.log.read_text(errors="replace")[-4000:]
        raise RuntimeError(f"the server did not start:\n{said}")

    def end(self) -> None:
        """Ask it to stop, and wait until it has.

        Raises:
            RuntimeError: It had to be killed: something held it back.
        """
        if self._process.poll() is not None:
            return
        family = self._family()
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            _kill(family)
            self._process.wait()
            raise RuntimeError(f"the service did not stop within {STOP_S} s") from None

    def kill(self) -> None:
        """End all of it in the middle of whatever it does."""
        _kill(self._family())
        self._process.wait()

    def _family(self) -> list[psutil.Process]:
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]


@contextmanager
def started(
    variables: Mapping[str, str] | None = None,
    *,
    target: str = "service:LLaVAVideoService",
    directory: Path = ROOT,
    log: Path | None = None,
) -> Iterator[Service]:
    """Serve while the block lasts; answers come when it is ready.

    Args:
        variables: Settings on top of this process's environment.
        target: What ``bentoml serve`` is told to serve; empty leaves it to ``bentofile.yaml``.
        directory: Where it is told.
        log: Where its output goes; by default a file that is gone afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="served-") as scratch:
        port = free_port()
        own = {
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": f"{scratch}/home",
            "VLM_DATA_DIR": f"{scratch}/data",
        }
        command = [*_bentoml_serve(target), "--host", "127.0.0.1", "--port", str(port)]
        log = log or Path(scratch) / "log"
        with _begun(command, port, {**own, **(variables or {})}, log, directory) as service:
            yield service


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    variables: Mapping[str, str],
    log: Path,
    *,
    directory: Path = ROOT,
    ready_path: str = "/readyz",
    start_s: float = START_S,
) -> Iterator[str]:
    """Run a server, wait until ready, yield the base URL, and end its processes.

    Args:
        command: Serves on ``port`` of the loopback interface.
        port: Where it is asked.
        variables: On top of this process's environment.
        log: Where its output goes.
        directory: Where it runs.
        ready_path: Answers 200 once it is ready.
        start_s: Seconds it has for that.

    Raises:
        RuntimeError: It ended or was not ready in time; the message has its last words.
    """
    with _begun(command, port, variables, log, directory) as service:
        service.wait_until_ready(ready_path, start_s=start_s)
        yield service.url


@contextmanager
def served(
    variables: Mapping[str, str] | None = None,
    *,
    target: str = "service:LLaVAVideoService",
    directory: Path = ROOT,
    log: Path | None = None,
) -> Iterator[str]:
    """Serve, wait until ready, yield the base URL, and end the process.

    Args:
        variables: As for ``started``, and so are the others.
        target: Likewise.
        directory: Likewise.
        log: Likewise.

    Raises:
        RuntimeError: It ended or was not ready in time; the message has its last words.
    """
    with started(variables, target=target, directory=directory, log=log) as service:
        service.wait_until_ready()
        yield service.url


def ask(url: str, path: Path, question: str) -> str:
    """Upload a clip (.mp4) or an image with a question; what the service answers."""
    kind = "video" if path.suffix == ".mp4" else "image"
    with path.open("rb") as file:
        reply = requests.post(
            f"{url}/analyze_{kind}", files={kind: file}, data={"prompt": question}, timeout=ANSWER_S
        )
    reply.raise_for_status()
    return str(reply.json()["response"])


@contextmanager
def _begun(
    command: Sequence[str], port: int, variables: Mapping[str, str], log: Path, directory: Path
) -> Iterator[Service]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            leashed(command),
            cwd=directory,
            env={**os.environ, **variables},  # noqa: TID251 - handed on as it is
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = Service(f"http://127.0.0.1:{port}", log, process)
    try:
        yield service
    finally:
        service.end()


def _bentoml_serve(target: str) -> list[str]:
    command = [str(Path(sys.executable).parent / "bentoml"), "serve"]
    return [*command, target] if target else command


def _kill(family: Iterable[psutil.Process]) -> None:
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.kill()
