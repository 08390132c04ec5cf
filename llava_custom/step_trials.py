"""Steps with CUDA graphs beside the same steps without: are they right, and do they come sooner.

The rows are made up and hold nothing, so a trial needs no memory but the step's own; attention,
which no graph holds, is exchanged for one that is as cheap. Letters: ``B`` rows, ``H`` heads,
``W`` width of a head.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from llava_custom.step_graphs import StepGraphs

NUM_TIMED = 5  # steps, after one that is not timed
LEAST_TOLERANCE = 1e-4  # of float32, whose sums other kernels may add up in another order
FAR = 1000  # made-up rows stand before it

Timer = Callable[[torch.device, Callable[[], object]], float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One size against the layers without graphs, with the fewest rows that it is for.

    Attributes:
        size: Rows that were recorded.
        num_rows: Rows that took the steps.
        eager_s: Seconds of a step without graphs, attention left out; the median.
        graph_s: Likewise with them.
        error: How far their outputs are apart, by the length of the former.
        tolerance: How far they may be.
    """

    size: int
    num_rows: int
    eager_s: float
    graph_s: float
    error: float
    tolerance: float

    @property
    def is_right(self) -> bool:
        """Whether the outputs are the same within rounding; not where they are no numbers."""
        return self.error <= self.tolerance

    @property
    def pays(self) -> bool:
        """Whether it comes sooner."""
        return self.graph_s < self.eager_s

    def __str__(self) -> str:
        """In the log's words."""
        rows = f"{self.num_rows} row{'s' if self.num_rows > 1 else ''}"
        return f"{rows} {self.graph_s * 1e3:.2f} ms instead of {self.eager_s * 1e3:.2f}"


@torch.inference_mode()
def try_all(graphs: StepGraphs, device: torch.device, timer: Timer) -> list[Trial]:
    """Each size against the layers, with one row more than the next smaller size is for."""
    return [
        _try_size(graphs, size, smaller + 1, device, timer)
        for smaller, size in pairwise((0, *graphs.sizes))
    ]


def _try_size(
    graphs: StepGraphs, size: int, num_rows: int, device: torch.device, timer: Timer
) -> Trial:
    layers, step = graphs.layers, OwnToken()
    numbers = torch.Generator().manual_seed(size)
    outputs = []
    for _ in range(2):  # the second time, what the first left behind would show
        token_ids = torch.randint(layers.num_embeddings, (num_rows,), generator=numbers)
        positions = torch.randint(FAR, (num_rows,), generator=numbers)
        rows = (token_ids.to(device), positions.to(device))
        outputs.append((graphs(*rows, step), layers(*rows, step)))
    ours, usual = (torch.cat(one) for one in zip(*outputs, strict=True))
    return Trial(
        size=size,
        num_rows=num_rows,
        eager_s=_median_s(partial(layers, *rows, step), device, timer),
        graph_s=_median_s(partial(graphs, *rows, step), device, timer),
        error=_apart(ours.float(), usual.float()),
        tolerance=max(LEAST_TOLERANCE, 8 * torch.finfo(usual.dtype).eps),
    )


def _apart(ours: Tensor, usual: Tensor) -> float:
    """The distance of the rows (B, D) that are farthest apart, by the length of the usual one."""
    return float(((ours - usual).norm(dim=1) / usual.norm(dim=1)).max())


def _median_s(step: Callable[[], object], device: torch.device, timer: Timer) -> float:
    timer(device, step)
    return statistics.median(timer(device, step) for _ in range(NUM_TIMED))


class OwnToken:
    """A step of rows that hold nothing: each sees its own token and a made-up one.

    What it sees depends on every number of query, key and value, and on where the token stands.
    """

    def update(self, keys: Tensor, values: Tensor, layer_idx: int) -> tuple["OwnKeyValue", None]:
        """Take a layer's keys and values, (B, heads, 1, W)."""
        return OwnKeyValue(keys, values), None


@dataclass(frozen=True, slots=True, eq=False)
class OwnKeyValue:
    """The token's own; the made-up one has ones as its key, and the token's key as its value.

    Weights are by angles and not by products, of which a softmax leaves little to be seen.
    """

    key: Tensor
    value: Tensor

    def attend(self, query: Tensor, scaling: float | None) -> Tensor:
        """(B, H, 1, W) -> (B, 1, H, W)."""
        num_rows, num_heads, _, width = query.shape
        shared = query.reshape(num_rows, self.key.shape[1], -1, width)
        weight = cosine_similarity(shared, self.key - 1, dim=-1)[..., None]
        seen = torch.lerp(self.key, self.value, weight)
        return seen.reshape(num_rows, 1, num_heads, width)
