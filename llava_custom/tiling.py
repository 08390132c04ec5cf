"""How one picture is cut into tiles, and how many tokens that makes; arithmetic only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHRINK_ABOVE = 1.1


@dataclass(frozen=True, slots=True)
class Tiling:
    """A picture fitted on a canvas of whole tiles, and what is left of it in patches.

    Attributes:
        picture_wh: The picture, upright, in pixels.
        canvas_wh: The canvas, whole tiles, in pixels.
        tile_px: Side of a tile.
        patches_per_side: Patches along a side of a tile.
        max_tiles: Tiles' worth of tokens above which the grid is shrunk; ``None``: never.

    Source: LLAVA.md 1.6; LLaVA-NeXT llava/mm_utils.py and llava/model/llava_arch.py @ df179663.
    """

    picture_wh: tuple[int, int]
    canvas_wh: tuple[int, int]
    tile_px: int
    patches_per_side: int
    max_tiles: int | None

    @property
    def grid_wh(self) -> tuple[int, int]:
        """Columns and rows of tiles."""
        return self.canvas_wh[0] // self.tile_px, self.canvas_wh[1] // self.tile_px

    @property
    def fitted_wh(self) -> tuple[int, int]:
        """The picture's size on the canvas in pixels, aspect kept."""
        (width, height), (canvas_w, canvas_h) = self.picture_wh, self.canvas_wh
        scale_w, scale_h = canvas_w / width, canvas_h / height
        if scale_w < scale_h:
            return canvas_w, min(math.ceil(height * scale_w), canvas_h)
        return min(math.ceil(width * scale_h), canvas_w), canvas_h

    @property
    def patches_hw(self) -> tuple[int, int]:
        """Rows and columns of patches on the whole canvas."""
        columns, rows = self.grid_wh
        return rows * self.patches_per_side, columns * self.patches_per_side

    @property
    def margin_hw(self) -> tuple[int, int]:
        """Patches of padding: rows at the top and again at the bottom, columns left and right."""
        (width, height), (rows, columns) = self.picture_wh, self.patches_hw
        # Truncated, where transformers rounds to 7 digits first: 1 of 60 000 sizes differs.
        if width / height > columns / rows:
            return (rows - int(height * (columns / width))) // 2, 0
        return 0, (columns - int(width * (rows / height))) // 2

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns of patches that the model sees, padding cut, shrunk if too many."""
        (rows, columns), (top, left) = self.patches_hw, self.margin_hw
        rows, columns = rows - 2 * top, columns - 2 * left
        if self.max_tiles is None:
            return rows, columns
        excess = math.sqrt(rows * columns / (self.max_tiles * self.patches_per_side**2))
        if excess > SHRINK_ABOVE:
            return int(rows // excess), int(columns // excess)
        return rows, columns

    @property
    def num_tokens(self) -> int:
        """The whole picture once, then the grid with a newline at the end of every row."""
        rows, columns = self.shape_hw
        return self.patches_per_side**2 + rows * (columns + 1)


def best_canvas(
    picture_wh: tuple[int, int], canvases_wh: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """The canvas that keeps most of the picture, then wastes least; the first of equals.

    Source: LLAVA.md 1.6; ``select_best_resolution`` in llava/mm_utils.py @ df179663.
    """
    width, height = picture_wh

    def merit(canvas_wh: tuple[int, int]) -> tuple[int, int]:
        canvas_w, canvas_h = canvas_wh
        scale = min(canvas_w / width, canvas_h / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - canvas_w * canvas_h

    return max(canvases_wh, key=merit)
