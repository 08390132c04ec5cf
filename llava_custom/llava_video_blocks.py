"""Visual blocks: the features of pictures and frames laid out as tokens, newlines included.

Pure functions of tensors, with the learned newline as an argument. Letters: ``F`` frames, ``I``
pictures (crops), ``P`` patches of one picture, ``h w`` their grid, ``D`` hidden size.

Source: LLAVA.md 1.5 and 1.6; llava/model/llava_arch.py of LLaVA-NeXT @ df179663.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from llava_custom.llava_video_config import Newline, PoolMode
from llava_custom.tiling import Tiling

POOL_STRIDE = 2


def pooled_side(patches_per_side: int, mode: PoolMode) -> int:
    """Side of a frame's grid after pooling: bilinear rounds up, the others drop a remainder."""
    if mode == "bilinear":
        return math.ceil(patches_per_side / POOL_STRIDE)
    return patches_per_side // POOL_STRIDE


def num_video_tokens(num_frames: int, side: int, newline: Newline) -> int:
    """Tokens of a clip whose pooled frames have ``side`` rows and columns."""
    newlines = {"grid": num_frames * side, "frame": num_frames, "one_token": 1, "no_token": 0}
    return num_frames * side * side + newlines[newline]


def pool_frames(features: Tensor, mode: PoolMode) -> Tensor:
    """Halve the patch grid of every frame.

    Args:
        features: Projected patches, shape (F, P, D), P a square.
        mode: How patches are merged.

    Returns:
        Shape (F, h, w, D).
    """
    num_frames, num_patches, hidden_size = features.shape
    side = math.isqrt(num_patches)
    grid = features.view(num_frames, side, side, hidden_size).permute(0, 3, 1, 2)  # (F, D, h, w)
    if mode == "average":
        pooled = functional.avg_pool2d(grid, POOL_STRIDE)
    elif mode == "max":
        pooled = functional.max_pool2d(grid, POOL_STRIDE)
    else:
        size = pooled_side(side, mode)
        pooled = functional.interpolate(grid.contiguous(), size=(size, size), mode="bilinear")
    return pooled.permute(0, 2, 3, 1)  # (F, D, h, w) -> (F, h, w, D)


def video_block(pooled: Tensor, newline: Tensor, position: Newline) -> Tensor:
    """A clip's tokens, frame by frame, row by row.

    Args:
        pooled: Shape (F, h, w, D).
        newline: Shape (D,).
        position: After every row, after every frame, once at the end, or nowhere.

    Returns:
        Shape (T, D), T as ``num_video_tokens`` says.
    """
    num_frames, rows, _, hidden_size = pooled.shape
    if position == "grid":
        ends = newline.expand(num_frames, rows, 1, hidden_size)
        return torch.cat([pooled, ends], dim=2).reshape(-1, hidden_size)  # (F, h, w + 1, D)
    if position == "frame":
        ends = newline.expand(num_frames, 1, hidden_size)
        return torch.cat([pooled.flatten(1, 2), ends], dim=1).reshape(-1, hidden_size)
    tokens = pooled.reshape(-1, hidden_size)
    return torch.cat([tokens, newline[None]]) if position == "one_token" else tokens


def image_block(features: Tensor, newline: Tensor, tiling: Tiling | None) -> Tensor:
    """A picture's tokens.

    Args:
        features: Projected patches, shape (I, P, D): the whole picture, then its tiles by row.
        newline: Shape (D,).
        tiling: How the tiles were cut; ``None`` where there are none.

    Returns:
        Shape (T, D): the whole picture without newlines, then the grid, each row with one;
        without tiles the whole picture and one newline.
    """
    whole = features[0]  # (P, D)
    if tiling is None:
        return torch.cat([whole, newline[None]])
    grid = _shrink(_cut_margin(_join_tiles(features[1:], tiling), tiling), tiling)  # (h, w, D)
    ends = newline.expand(grid.shape[0], 1, newline.shape[0])
    rows = torch.cat([grid, ends], dim=1)  # (h, w + 1, D)
    return torch.cat([whole, rows.reshape(-1, newline.shape[0])])


def _join_tiles(tiles: Tensor, tiling: Tiling) -> Tensor:
    """Tiles as one picture: (I, P, D) -> (h, w, D)."""
    (columns, rows), side = tiling.grid_wh, tiling.patches_per_side
    tiled = tiles.view(rows, columns, side, side, -1)
    return tiled.transpose(1, 2).reshape(rows * side, columns * side, -1)


def _cut_margin(grid: Tensor, tiling: Tiling) -> Tensor:
    """Drop the patches that show only padding; (h, w, D) on both sides."""
    (rows, columns), (top, left) = tiling.patches_hw, tiling.margin_hw
    return grid[top : rows - top, left : columns - left]


def _shrink(grid: Tensor, tiling: Tiling) -> Tensor:
    """Resample the grid to its bound, if it is above it; (h, w, D) on both sides."""
    if tuple(grid.shape[:2]) == tiling.shape_hw:
        return grid
    planes = grid.permute(2, 0, 1)[None].contiguous()  # (1, D, h, w)
    shrunk = functional.interpolate(planes, size=tiling.shape_hw, mode="bilinear")
    return shrunk[0].permute(1, 2, 0)
