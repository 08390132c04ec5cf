"""What a whole clip amounts to: how many things of each kind, how many in all, how many do what.

Yes/no questions and counts ask for these numbers, so the end of every frame is taught to hold
them and one layer later every word may look there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from demo.clips import UNKNOWN, Table
from demo.scenes import KINDS, MOTIONS, MOVES

MOST = 3  # things in a scene
NUM_COUNTS = len(KINDS) + 1 + len(MOTIONS) + 1


def summarise(table: Table) -> Tensor:
    """Counts of what the frames so far have shown, in [0, 3] or ``UNKNOWN``: int64 (F, 17).

    In this order: of each kind, in all, doing each of ``MOTIONS``, and moving anywhere.
    """
    of_kind = (table.kind[..., None] == np.arange(1, 1 + len(KINDS))).sum(1)
    doing = (table.motion[..., None] == np.arange(1, 1 + len(MOTIONS))).sum(1)
    moving = doing[:, [MOTIONS.index(move) for move in MOVES]].sum(1, keepdims=True)
    in_all = of_kind.sum(1, keepdims=True)
    motions = np.concatenate([doing, moving], 1)
    motions[(table.motion == UNKNOWN).any(1)] = UNKNOWN
    return torch.from_numpy(np.concatenate([of_kind, in_all, motions], 1))
