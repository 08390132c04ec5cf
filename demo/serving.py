"""The bundle as ``bentoml serve`` serves it, and asking it: for reports, benchmarks and tests."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
START_S = 120
ANSWER_S = 120
STOP_S = 20


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        variables: Settings on top of this process's environment.
        target: What ``bentoml serve`` is told to serve; empty leaves it to ``bentofile.yaml``.
        directory: Where it is told.
        log: Where its output goes; by default a file that is gone afterwards.

    Raises:
        RuntimeError: It ended or was not ready in time; the message has its last words.
    """
    with tempfile.TemporaryDirectory(prefix="served-") as scratch:
        own = {
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": f"{scratch}/home",
            "VLM_DATA_DIR": f"{scratch}/data",
        }
        port = free_port()
        command = [*_bentoml_serve(target), "--host", "127.0.0.1", "--port", str(port)]
        log = log or Path(scratch) / "log"
        with running(command, port, {**own, **(variables or {})}, log, directory=directory) as url:
            yield url


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
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **variables},  # noqa: TID251 - handed on as it is
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}{ready_path}", log, start_s)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            _end(process)


def ask(url: str, path: Path, question: str) -> str:
    """Upload a clip (.mp4) or an image with a question; what the service answers."""
    kind = "video" if path.suffix == ".mp4" else "image"
    with path.open("rb") as file:
        reply = requests.post(
            f"{url}/analyze_{kind}", files={kind: file}, data={"prompt": question}, timeout=ANSWER_S
        )
    reply.raise_for_status()
    return str(reply.json()["response"])


def _bentoml_serve(target: str) -> list[str]:
    command = [str(Path(sys.executable).parent / "bentoml"), "serve"]
    return [*command, target] if target else command


def _wait_until_ready(
    process: subprocess.Popen[bytes], url: str, log: Path, start_s: float
) -> None:
    deadline_s = time.monotonic() + start_s
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.RequestException:
            pass  # not listening yet
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its workers.

    Raises:
        RuntimeError: They had to be killed: something held the service back.
    """
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        raise RuntimeError(f"the service did not stop within {STOP_S} s") from None
