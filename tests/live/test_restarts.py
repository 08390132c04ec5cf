"""A camera that is killed and started again, a process of its own, and nothing left of it all."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from contracts.streams import StreamState
from tests.live.registries import config, registry

BACK_S = 5.0  # promised: running again so soon after the camera is back


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def camera(port: int) -> Iterator[subprocess.Popen[str]]:
    """The demo camera, until it is killed."""
    command = [sys.executable, "-m", "demo.camera", "--port", str(port), "--size", "320x180"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "url" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def footprint() -> tuple[int, int, int]:
    """Threads, descriptors and megabytes of this process."""
    threads = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))
    return threads, descriptors, psutil.Process().memory_info().rss // 1_000_000


def restart(num_times: int) -> tuple[list[float], list[tuple[int, int, int]]]:
    """Kill and restart a camera; seconds until each return, and what was in use then."""
    port = free_port()
    returns_s, footprints = [], []
    with registry() as (streams, changes):
        streams.add(config("a", f"rtsp://127.0.0.1:{port}/demo"))
        for count in range(1, num_times + 1):
            with camera(port):
                back_s = time.monotonic()
                changes.wait_for("a", StreamState.RUNNING, count=count)
                returns_s.append(time.monotonic() - back_s)
                footprints.append(footprint())
            changes.wait_until("a", StreamState.LOST)
        assert streams.status("a").reconnects == num_times - 1
    return returns_s, footprints


def test_a_killed_camera_is_found_again() -> None:
    restart(2)


@pytest.mark.slow
def test_twenty_restarts_leave_nothing_behind() -> None:
    returns_s, footprints = restart(20)
    assert max(returns_s[1:]) <= BACK_S, returns_s
    threads, descriptors, megabytes = zip(*footprints, strict=True)
    assert len(set(threads[2:])) == 1, threads
    assert max(descriptors[2:]) <= descriptors[2] + 2, descriptors
    assert megabytes[-1] <= megabytes[4] + 15, megabytes
