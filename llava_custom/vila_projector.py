"""VILA's projector: four neighbouring patches become one token of the language model.

Letters: ``I`` pictures, ``P`` patches of one, ``C`` width of the tower, ``D`` hidden size.

Source: LLAVA.md 3.2 and 3.4; ``mlp_downsample`` in llava/model/multimodal_projector of VILA, branch
vila1.5 @ 6b941da1.
"""

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

# The order in which a picture's tokens are read. VILA1.5's code, and every commit before December
# 2024, goes down the columns; NVILA's, under the same name of projector, along the rows. Weights
# know only the order they were trained in, and no file says which.
TokenOrder = Literal["column_major", "row_major"]


def num_tokens(patches_per_side: int) -> int:
    """Tokens of one picture; an odd side is padded."""
    return math.ceil(patches_per_side / 2) ** 2


def merge_patches(features: Tensor, order: TokenOrder) -> Tensor:
    """Put squares of 2 x 2 patches side by side, with zeros below and right of an odd grid.

    Args:
        features: Patches row by row, shape (I, P, C), P a square.
        order: Of the squares.

    Returns:
        Shape (I, T, 4 C), T as ``num_tokens`` says; the four by row within a square.
    """
    num_pictures, num_patches, width = features.shape
    side = math.isqrt(num_patches)
    half = math.ceil(side / 2)
    gap = 2 * half - side
    grid = features.reshape(num_pictures, side, side, width)
    padded = functional.pad(grid, (0, 0, 0, gap, 0, gap))
    squares = padded.reshape(num_pictures, half, 2, half, 2, width)  # (I, row, r, column, c, C)
    axes = (0, 3, 1, 2, 4, 5) if order == "column_major" else (0, 1, 3, 2, 4, 5)
    return squares.permute(axes).reshape(num_pictures, half * half, 4 * width)


class Projector(nn.Module):
    """Merged patches through two linear layers.

    Args:
        tower_width: ``C``.
        hidden_size: ``D``.
        order: Of the tokens.
    """

    def __init__(self, tower_width: int, hidden_size: int, order: TokenOrder) -> None:
        super().__init__()
        self._order = order
        self.layers = nn.Sequential(
            nn.Identity(),  # the original merges patches here; its names count from it
            nn.LayerNorm(4 * tower_width),
            nn.Linear(4 * tower_width, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
        )

    def forward(self, features: Tensor) -> Tensor:
        """A picture's tokens: (I, P, C) -> (I, T, D)."""
        tokens: Tensor = self.layers(merge_patches(features, self._order))
        return tokens
