"""Our client against an RTSP server of other people, which is killed and frozen, too."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.streams import LookBack, StreamState
from tests.live.registries import PATIENCE_S, config, registry

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("gst_rtsp_server.py")


@contextmanager
def camera(codec: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server's process and the URL of its camera."""
    command = [PYTHON, str(SERVER), codec]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                pytest.skip("gst-rtsp-server is not installed")
            yield process, f"rtsp://127.0.0.1:{port}/cam"
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the server is Debian's")
@pytest.mark.parametrize("codec", ["h264", "h264-b", "mjpeg", "vp8"])
def test_a_camera_of_other_people_is_captured(codec: str) -> None:
    with camera(codec) as (_, url), registry() as (streams, changes):
        streams.add(config("a", url, sample_fps=10.0))
        changes.wait_for("a", StreamState.RUNNING)
        sequence = 0
        while sequence < 12:
            sequence = streams.wait_newer("a", sequence, timeout_s=PATIENCE_S)
        clip = streams.clip("a", LookBack(None, 10))
        assert clip.codec == codec.removesuffix("-b")
        assert (clip.width, clip.height) == (320, 240)
        assert all(
            (one.rgb != other.rgb).any() for one, other in pairwise(clip.frames)
        )  # the ball moves
        steps = [b - a for a, b in pairwise(clip.frame_times_s)]
        assert all(step > 0 for step in steps)
        assert sum(steps) / len(steps) == pytest.approx(0.1, rel=0.35)


@pytest.mark.slow
def test_a_frozen_camera_is_stalled_and_goes_on() -> None:
    with camera("h264") as (process, url), registry(stale_s=2, lost_s=3) as (streams, changes):
        streams.add(config("a", url))
        changes.wait_for("a", StreamState.RUNNING)
        process.send_signal(signal.SIGSTOP)
        changes.wait_for("a", StreamState.STALLED)
        changes.wait_for("a", StreamState.LOST)
        process.send_signal(signal.SIGCONT)
        changes.wait_for("a", StreamState.RUNNING, count=2)
