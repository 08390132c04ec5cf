"""The demo camera: the play on a clock, and the real program."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from itertools import islice

import av
import numpy as np
import pytest

from demo.acts import play
from demo.camera import DemoCamera, line_of, size
from demo.drawing import render


class HandClock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def test_the_camera_sees_the_play_as_time_goes_by() -> None:
    clock = HandClock()
    camera = DemoCamera((160, 90), 30, seed=7, now=clock)
    for act in islice(play(7), 9):
        for share in (0.25, 0.75):
            clock.now_s = 50.0 + act.begin_s + share * (act.end_s - act.begin_s)
            expected = render(act.scene, share, (160, 90))
            assert np.abs(camera.picture().astype(int) - expected).max() <= 40  # half a pixel off
            assert (camera.picture() == expected).mean() > 0.98


def test_a_play_of_limited_time_ends() -> None:
    clock = HandClock()
    camera = DemoCamera((160, 90), 30, seed=7, last_s=3.0, now=clock)
    camera.picture()
    clock.now_s += 3
    with pytest.raises(LookupError):
        camera.picture()


def test_truth_is_told_in_times_of_the_world() -> None:
    act = list(islice(play(7), 2))[1]
    presence = next(act.presences())
    line = line_of(presence, datetime(2026, 11, 20, 17, 17, tzinfo=UTC))
    assert line["kind"] == presence.kind
    assert line["begin"].startswith("2026-11-20T17:17:0")
    assert datetime.fromisoformat(line["end"]).tzinfo is not None


@pytest.mark.parametrize(("text", "size_wh"), [("1280x720", (1280, 720)), ("161x91", (160, 90))])
def test_sizes_are_even(text: str, size_wh: tuple[int, int]) -> None:
    assert size(text) == size_wh


def test_the_program_says_where_it_is_and_shows_the_play() -> None:
    command = [
        sys.executable,
        "-m",
        "demo.camera",
        "--port",
        "0",
        "--size",
        "160x90",
        "--fps",
        "10",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as camera:
        try:
            assert camera.stdout is not None
            first = json.loads(camera.stdout.readline())
            with av.open(first["url"], "r", options={"rtsp_transport": "tcp"}) as container:
                picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
            background = next(play(7)).scene.background
            assert np.abs(picture.astype(int) - background).max() < 12
        finally:
            camera.kill()
