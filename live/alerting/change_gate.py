"""Whether a picture changed since it was last judged: a still one is not judged again and again.

Two clips show the same when nothing moves in either and their newest frames are alike, cell by
cell of a coarse grid. Not thread-safe.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.media import U8
from contracts.rules import Rule

GRID_HW = (36, 64)
# Levels of 255 by which a cell's mean must differ. Sensor noise averages out within a cell; where a
# whole picture flickers, the median tells by how much, up to a bound above which it has changed.
MIN_CHANGE = 4.0
MAX_CHANGE = 12.0
NOISE_FACTOR = 7.0
MAX_SIDE_PX = 360  # of the rows that are averaged; larger pictures are read with gaps

Grid = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What is remembered of a clip: its newest frame as a coarse grid, and whether it stood still.

    ``newest`` has the shape (36, 64, 3), 0 to 255.
    """

    newest: Grid
    is_still: bool

    def shows_the_same(self, other: "Sight") -> bool:
        """Whether a model would see nothing new in the other clip."""
        return self.is_still and other.is_still and not _differ(self.newest, other.newest)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule was last shown, what it asked then, and when."""

    rule: Rule
    sight: Sight
    at_s: float


class ChangeGate:
    """Remembers what each rule on each stream was last shown."""

    def __init__(self, still_look_s: float) -> None:
        """Open the gate.

        Args:
            still_look_s: Seconds after which even a still picture is judged; 0 judges always.
        """
        self._still_look_s = still_look_s
        self._judged: dict[tuple[str, str], Judged] = {}

    def may_skip(self, rule: Rule, stream_id: str, sight: Sight, now_s: float) -> bool:
        """Whether this clip shows a rule what it was judged on lately."""
        judged = self._judged.get((rule.id, stream_id))
        if judged is None or now_s - judged.at_s >= self._still_look_s:
            return False
        return rule.asks_like(judged.rule) and judged.sight.shows_the_same(sight)

    def judged(self, rule: Rule, stream_id: str, sight: Sight, now_s: float) -> None:
        """Remember what a rule was shown."""
        self._judged[rule.id, stream_id] = Judged(rule, sight, now_s)

    def keep_only(self, keys: Collection[tuple[str, str]]) -> None:
        """Forget all rules and streams but these."""
        self._judged = {key: seen for key, seen in self._judged.items() if key in keys}


def see(frames: Sequence[U8]) -> Sight:
    """Reduce a clip to what is compared.

    Args:
        frames: uint8, shape (H, W, 3), in time order, at least one; not modified.
    """
    grids = [_grid(rgb) for rgb in frames]
    newest = grids[-1]
    return Sight(newest, not any(_differ(grid, newest) for grid in grids[:-1]))


def _grid(rgb: U8) -> Grid:
    """Means of each cell, shape (36, 64, 3): a change may be in one colour alone."""
    step = max(1, min(rgb.shape[:2]) // MAX_SIDE_PX)
    thin = np.ascontiguousarray(rgb[::step, ::step])  # (h, w, 3)
    height, width, _ = thin.shape
    rows, columns = _starts(height, GRID_HW[0]), _starts(width, GRID_HW[1])
    sums = np.add.reduceat(thin.reshape(height, -1), rows, axis=0, dtype=np.uint32)  # (36, w * 3)
    sums = np.add.reduceat(sums.reshape(-1, width, 3), columns, axis=1)  # (36, 64, 3)
    sizes = np.outer(_sizes(rows, height), _sizes(columns, width))
    return (sums / sizes[:, :, None]).astype(np.float32)


def _starts(side: int, cells: int) -> npt.NDArray[np.intp]:
    return np.arange(cells) * side // cells


def _sizes(starts: npt.NDArray[np.intp], side: int) -> npt.NDArray[np.intp]:
    return np.maximum(1, np.diff(starts, append=side))


def _differ(one: Grid, other: Grid) -> bool:
    change = np.abs(one - other)
    limit = np.clip(NOISE_FACTOR * float(np.median(change)), MIN_CHANGE, MAX_CHANGE)
    return bool(change.max() > limit)
