from __future__ import annotations

from random import Random

import numpy as np
import pytest

from demo.drawing import master, render
from demo.scenes import KINDS, RGB, Colour, Kind, Motion, Scene, Thing, random_scene
from demo.vision_data import coverage


def one(kind: Kind, xy: tuple[float, float] = (0.5, 0.5)) -> Scene:
    shape = Thing(kind, Colour.RED, RGB[Colour.RED], 0.5, xy, xy, Motion.STANDS)
    return Scene((shape,), (128, 128, 128), "plain", 0, 16 / 9, 4.0)


@pytest.mark.parametrize("size_wh", [(64, 36), (320, 180), (90, 160), (641, 361), (1280, 720)])
def test_a_frame_has_the_size_that_was_asked_for(size_wh: tuple[int, int]) -> None:
    frame = render(random_scene(Random(1)), 0.0, size_wh)
    assert frame.dtype == np.uint8
    assert frame.shape == (size_wh[1], size_wh[0], 3)


def test_the_same_scene_gives_the_same_pixels() -> None:
    first, second = (render(random_scene(Random(9)), 0.3, (160, 90)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_is_painted_where_it_is_said_to_be(kind: Kind) -> None:
    for x in (0.3, 0.7):
        frame = render(one(kind, (x, 0.5)), 0.0, (320, 180)).astype(int)
        red = (frame[..., 0] > 180) & (frame[..., 1] < 90)
        assert red.sum() > 1000
        assert np.nonzero(red)[1].mean() / 320 == pytest.approx(x, abs=0.02)


def test_no_two_kinds_look_alike() -> None:
    masks = [np.asarray(master(kind), float) / 255 for kind in KINDS]
    for i, first in enumerate(masks):
        for second in masks[:i]:
            assert np.abs(first - second).mean() > 0.08


def test_labels_cover_what_the_pixels_show() -> None:
    scene = one(Kind.SQUARE, (0.4, 0.6))
    covered = coverage(scene, 0.0, (0, 0, 96, 96))[0]
    frame = render(scene, 0.0, (960, 960)).astype(int)
    red = ((frame[..., 0] > 180) & (frame[..., 1] < 90)).reshape(12, 80, 12, 80).mean((1, 3))
    # The square render squashes the wide scene's square differently: compare the centres.
    rows, columns = np.indices((12, 12))
    for index in (rows, columns):
        assert (covered * index).sum() / covered.sum() == pytest.approx(
            (red * index).sum() / red.sum(), abs=0.25
        )
