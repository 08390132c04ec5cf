"""Live streams as the RTSP server shows them."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from contracts.streams import StreamStatus
from live.previews.overlay_lines import OverlayLines
from live.previews.rtsp_pictures import FPS, RtspPictures, StreamPictures, fitted, size_of
from tests.live.hand_cameras import Stage, plain, stage

LARGE = (320, 180)


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard") as made:
        made.show("door", plain(50, LARGE))
        yield made


@pytest.fixture
def lines() -> OverlayLines:
    return OverlayLines()


@pytest.fixture
def pictures(staged: Stage, lines: OverlayLines) -> RtspPictures:
    return RtspPictures(staged.streams, lines)


def found(pictures: RtspPictures, path: str) -> StreamPictures:
    one = pictures.find(path)
    assert one is not None
    return one


def middle(one: StreamPictures) -> int:
    """The shade where nothing is written."""
    rgb = one.picture()
    return int(rgb[rgb.shape[0] // 2, 2].mean())


def test_a_path_names_a_stream_or_the_first(pictures: RtspPictures, staged: Stage) -> None:
    first = found(pictures, "/out")
    assert pictures.find("/out/door") is first
    assert found(pictures, "/out/yard") is not first
    for path in ("/out/attic", "/door", "/live/door", "", "/out/door/x"):
        assert pictures.find(path) is None
    staged.streams.remove("door")
    assert pictures.find("/out/door") is None
    assert pictures.find("/out") is pictures.find("/out/yard")
    staged.streams.remove("yard")
    assert pictures.find("/out") is None
    staged.add("attic")  # later
    assert pictures.find("/out/attic") is not None


def test_the_newest_frame_is_shown_and_drawn_once(
    pictures: RtspPictures, staged: Stage, lines: OverlayLines
) -> None:
    door = found(pictures, "/out/door")
    assert (door.size_wh, door.fps) == (LARGE, FPS)
    first = door.picture()
    assert first.shape == (180, 320, 3)
    assert abs(middle(door) - 50) < 3
    assert door.picture() is first
    staged.show("door", plain(200, LARGE))
    assert abs(middle(door) - 200) < 3
    before = door.picture()
    lines.note_answer("door", "Is there fire?", "No.")
    assert (door.picture()[-20:] != before[-20:]).any()


def test_a_stream_that_does_not_run_shows_its_state(pictures: RtspPictures, staged: Stage) -> None:
    door = found(pictures, "/out/door")
    staged.show("door", plain(200, LARGE))
    staged.lose("door")
    assert middle(door) < 50
    yard = found(pictures, "/out/yard")
    assert yard.picture().shape == (720, 1280, 3)


def test_the_size_stays_while_somebody_watches(pictures: RtspPictures, staged: Stage) -> None:
    yard = found(pictures, "/out/yard")
    assert yard.size_wh == (1280, 720)
    staged.show("yard", plain(200, (90, 160)))
    assert yard.picture().shape == (720, 1280, 3)
    assert middle(yard) == 0  # a bar beside the picture, which stands upright
    del yard
    gc.collect()
    assert found(pictures, "/out/yard").size_wh == (90, 160)


@pytest.mark.parametrize(
    ("source_wh", "shown_wh"),
    [
        ((1280, 720), (1280, 720)),
        ((1920, 1080), (1280, 720)),
        ((641, 361), (640, 360)),
        ((1080, 1920), (720, 1280)),
        ((5000, 1), (1280, 2)),
        ((None, None), (1280, 720)),
    ],
)
def test_the_size_is_that_of_the_source_within_bounds(
    staged: Stage, source_wh: tuple[int | None, int | None], shown_wh: tuple[int, int]
) -> None:
    status: StreamStatus = staged.streams.status("door")
    width, height = source_wh
    assert size_of(replace(status, width=width, height=height)) == shown_wh


def test_a_picture_is_fitted_in_whole() -> None:
    white = Image.new("RGB", (40, 40), "white")
    rgb = fitted(white, (80, 40))
    assert rgb.shape == (40, 80, 3)
    assert np.array_equal(rgb[20, :, 0] > 127, [False] * 20 + [True] * 40 + [False] * 20)


def test_a_stream_is_sampled_as_often_as_it_is_shown_and_only_then(staged: Stage) -> None:
    staged.streams.remove("yard")
    staged.add("slow", sample_fps=0.1)
    staged.show("slow", plain(50))
    slow = found(RtspPictures(staged.streams, OverlayLines()), "/out/slow")
    with slow.watched():
        staged.show("slow", plain(100), plain(150))  # a second apart, and yet both are kept


def test_players_learn_that_a_stream_is_gone(pictures: RtspPictures, staged: Stage) -> None:
    door = found(pictures, "/out/door")
    with door.watched():
        door.picture()
        staged.streams.remove("door")
        with pytest.raises(LookupError):
            door.picture()
    with pytest.raises(LookupError), door.watched():
        pass
