"""Positions on three axes: time, row and column, as Qwen-VL's rotary embedding takes them.

Text stands at one position on all three; a picture's tokens stand on its grid, and what follows
goes on behind the longer of its sides.

Source: ``get_rope_index`` in transformers 5.23 models/qwen2_vl and models/qwen2_5_vl.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from llava_custom import Embedded, Prompt, Visual
from runners.hub.decoder import Decoder

NUM_AXES = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class GridVisual(Visual):
    """A picture or a clip whose tokens stand on a grid.

    Attributes:
        grid_thw: Steps in time, rows and columns of tokens.
        positions_per_step: How far apart two steps stand on the axis of time.
    """

    grid_thw: tuple[int, int, int]
    positions_per_step: float = 1.0

    @property
    def identity(self) -> Hashable:
        """Equal for visuals that are the same tokens at the same positions."""
        return (super().identity, self.grid_thw, self.positions_per_step)

    @property
    def positions(self) -> Tensor:
        """Where its tokens stand, from 0; int64, shape (3, T)."""
        steps, rows, columns = self.grid_thw
        # In float32, as the processor hands the interval over: another precision truncates
        # otherwise.
        times = (torch.arange(steps) * torch.tensor(self.positions_per_step)).long()
        axes = torch.meshgrid(times, torch.arange(rows), torch.arange(columns), indexing="ij")
        return torch.stack(axes).reshape(NUM_AXES, -1)

    @property
    def extent(self) -> int:
        """How far behind its beginning the next token stands."""
        return max(self.grid_thw[1:])


def prompt_positions(prompt: Prompt) -> Tensor:
    """Where the tokens of a prompt stand; int64, shape (3, T)."""
    found, at = [torch.zeros(NUM_AXES, 0, dtype=torch.int64)], 0
    for segment in prompt.segments:
        if isinstance(segment, Visual):
            assert isinstance(segment, GridVisual)
            found.append(segment.positions + at)
            at += segment.extent
        else:
            found.append((torch.arange(len(segment)) + at).expand(NUM_AXES, -1))
            at += len(segment)
    return torch.cat(found, dim=1)


class MropeDecoder(Decoder):
    """A decoder with positions on three axes."""

    def embed(self, prompt: Prompt, blocks: Iterable[Tensor]) -> Embedded:
        """Put embedded text and the visuals' blocks together, at their positions."""
        return replace(super().embed(prompt, blocks), positions=prompt_positions(prompt))

    def position_ids(self, positions: Tensor) -> Tensor:
        """Positions (A, B, T) on all three axes; text comes with one."""
        return positions.expand(NUM_AXES, -1, -1)
