import itertools

import pytest

from llava_custom.tiling import Tiling, best_canvas

CANVASES = [(384 * i, 384 * j) for i in range(1, 7) for j in range(1, 7)]
SIDES_PX = (1, 13, 384, 385, 768, 1000, 2500, 9000)
SIZES = list(itertools.product(SIDES_PX, SIDES_PX))


def tiling(width: int, height: int, max_tiles: int | None = 9) -> Tiling:
    canvas_wh = best_canvas((width, height), CANVASES)
    return Tiling((width, height), canvas_wh, 384, 27, max_tiles)


@pytest.mark.parametrize(
    ("picture_wh", "grid_wh", "num_tokens"),
    [((600, 280), (2, 1), 2104), ((2200, 2000), (6, 6), 7274)],  # of the original, LLAVA.md 1.6
)
def test_counts_are_the_original_s(
    picture_wh: tuple[int, int], grid_wh: tuple[int, int], num_tokens: int
) -> None:
    assert tiling(*picture_wh).grid_wh == grid_wh
    assert tiling(*picture_wh).num_tokens == num_tokens


def test_the_canvas_keeps_most_pixels_then_wastes_least() -> None:
    assert best_canvas((384, 384), CANVASES) == (384, 384)
    assert best_canvas((700, 300), CANVASES) == (768, 384)
    assert best_canvas((300, 700), CANVASES) == (384, 768)
    assert best_canvas((5000, 5000), CANVASES) == (2304, 2304)


def test_the_first_of_equal_canvases_wins() -> None:
    assert best_canvas((10, 10), [(768, 384), (384, 768)]) == (768, 384)
    assert best_canvas((10, 10), [(384, 768), (768, 384)]) == (384, 768)


@pytest.mark.parametrize("picture_wh", SIZES)
def test_the_picture_fits_its_canvas_and_fills_one_side(picture_wh: tuple[int, int]) -> None:
    cut = tiling(*picture_wh)
    (width, height), (canvas_w, canvas_h) = cut.fitted_wh, cut.canvas_wh
    assert 1 <= width <= canvas_w
    assert 1 <= height <= canvas_h
    assert width == canvas_w or height == canvas_h


@pytest.mark.parametrize("picture_wh", SIZES)
def test_the_grid_stays_near_its_bound(picture_wh: tuple[int, int]) -> None:
    rows, columns = tiling(*picture_wh).shape_hw
    assert 0 <= rows * columns <= 9 * 27 * 27 * 1.1**2


def test_without_a_bound_nothing_is_shrunk() -> None:
    assert tiling(2304, 2304, max_tiles=None).shape_hw == (162, 162)
    assert tiling(2304, 2304).shape_hw == (81, 81)
