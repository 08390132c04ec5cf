"""Asking a running service about a file, and starting one where none runs."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 180.0
ANSWER_TIMEOUT_S = 120.0


def ask_service(url: str, path: Path, question: str) -> str:
    """Upload a file with a question; what the service answers."""
    field = "video" if path.suffix == ".mp4" else "image"
    body, boundary = _multipart(path, field, json.dumps({"prompt": question}))
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"{url}/analyze_{field}", body, headers)
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as reply:
        return str(json.load(reply)["response"])


def _multipart(path: Path, field: str, metadata: str) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = (
        (f'name="{field}"; filename="{path.name}"', path.read_bytes()),
        ('name="metadata"', metadata.encode()),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {header}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for header, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), boundary


@contextlib.contextmanager
def service(url: str | None) -> Iterator[str]:
    """The address of a service: the one given, or one that lives as long as the block."""
    if url is not None:
        yield url.rstrip("/")
        return
    port = _free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode} before it was ready")
        if _is_ready(url):
            return
        time.sleep(0.5)
    raise TimeoutError(f"no service at {url} within {START_TIMEOUT_S:.0f} s")


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
