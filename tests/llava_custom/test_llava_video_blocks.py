"""Blocks against computations written down patch by patch."""

import itertools
import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from llava_custom.llava_video_blocks import (
    image_block,
    num_video_tokens,
    pool_frames,
    pooled_side,
    video_block,
)
from llava_custom.llava_video_config import Newline, PoolMode
from llava_custom.tiling import Tiling, best_canvas

VARIANTS = list(itertools.product(get_args(PoolMode), get_args(Newline)))
NEWLINE = torch.tensor([-7.0, -8.0])
CANVASES = [(6 * i, 6 * j) for i in range(1, 4) for j in range(1, 4)]


def pooled_patch(grid: Tensor, row: int, column: int, mode: PoolMode) -> Tensor:
    """One pooled patch of a (side, side, D) grid, from the definition."""
    side = grid.shape[0]
    if mode != "bilinear":
        four = grid[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(4, -1)
        return four.mean(0) if mode == "average" else four.max(0).values
    scale = side / math.ceil(side / 2)
    weights = [corner_weights((n + 0.5) * scale - 0.5, side) for n in (row, column)]
    mixed = [wy * wx * grid[y, x] for y, wy in weights[0] for x, wx in weights[1]]
    return torch.stack(mixed).sum(0)


def corner_weights(position: float, side: int) -> list[tuple[int, float]]:
    """The two neighbours of a position with their shares; the edge stands for what is outside."""
    low = math.floor(max(position, 0.0))
    share = max(position, 0.0) - low
    return [(low, 1 - share), (min(low + 1, side - 1), share)]


def expected_clip(features: Tensor, side: int, mode: PoolMode, newline: Newline) -> list[Tensor]:
    tokens: list[Tensor] = []
    pooled = side // 2 if mode != "bilinear" else -(-side // 2)
    for frame in features.view(len(features), side, side, -1):
        for row in range(pooled):
            tokens += [pooled_patch(frame, row, column, mode) for column in range(pooled)]
            tokens += [NEWLINE] if newline == "grid" else []
        tokens += [NEWLINE] if newline == "frame" else []
    return tokens + ([NEWLINE] if newline == "one_token" else [])


@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize(("mode", "newline"), VARIANTS)
def test_a_clip_is_laid_out_patch_by_patch(side: int, mode: PoolMode, newline: Newline) -> None:
    features = torch.randn(3, side * side, 2, generator=torch.Generator().manual_seed(1))
    block = video_block(pool_frames(features, mode), NEWLINE, newline)
    expected = torch.stack(expected_clip(features, side, mode, newline))
    torch.testing.assert_close(block, expected, rtol=0, atol=1e-6)
    assert len(block) == num_video_tokens(3, pooled_side(side, mode), newline)


@pytest.mark.parametrize(
    ("newline", "num_tokens"),
    [("grid", 13440), ("frame", 12608), ("one_token", 12545), ("no_token", 12544)],
)
def test_64_real_frames_have_the_original_s_count(newline: Newline, num_tokens: int) -> None:
    assert num_video_tokens(64, pooled_side(27, "bilinear"), newline) == num_tokens


def test_average_and_max_drop_the_last_row_of_an_odd_grid() -> None:
    assert [pooled_side(27, mode) for mode in get_args(PoolMode)] == [14, 13, 13]


def test_a_picture_without_tiles_ends_with_one_newline() -> None:
    features = torch.randn(1, 9, 2)
    assert torch.equal(
        image_block(features, NEWLINE, None), torch.cat([features[0], NEWLINE[None]])
    )


def test_tiles_are_joined_row_by_row_without_their_padding() -> None:
    # 3 x 2 tiles of 2 x 2 patches; the picture is half as high: a row goes at each end.
    tiling = Tiling((18, 6), (18, 12), 6, 2, None)
    features = torch.arange(7 * 4 * 2, dtype=torch.float32).view(7, 4, 2)
    block = image_block(features, NEWLINE, tiling)
    kept = [
        [
            features[1 + tile_row * 3 + column // 2, patch_row * 2 + column % 2]
            for column in range(6)
        ]
        for tile_row, patch_row in ((0, 1), (1, 0))
    ]
    rows = [token for row in kept for token in (*row, NEWLINE)]
    assert torch.equal(block, torch.cat([features[0], torch.stack(rows)]))


def test_a_grid_above_its_bound_is_resampled() -> None:
    tiling = Tiling((18, 18), (18, 18), 6, 4, 1)
    features = torch.ones(10, 16, 2)
    block = image_block(features, NEWLINE, tiling)
    assert tiling.shape_hw == (4, 4)
    assert len(block) == tiling.num_tokens == 16 + 4 * 5
    assert torch.equal(block[20], NEWLINE)
    assert torch.equal(block[16:20], torch.ones(4, 2))


@pytest.mark.parametrize("max_tiles", [None, 1, 2, 4])
def test_every_picture_has_the_planned_number_of_tokens(max_tiles: int | None) -> None:
    sides_px = (1, 3, 6, 7, 11, 18, 40, 700)
    for picture_wh in itertools.product(sides_px, sides_px):
        canvas_wh = best_canvas(picture_wh, CANVASES)
        tiling = Tiling(picture_wh, canvas_wh, 6, 5, max_tiles)
        columns, rows = tiling.grid_wh
        block = image_block(torch.zeros(1 + columns * rows, 25, 2), NEWLINE, tiling)
        assert len(block) == tiling.num_tokens, picture_wh
