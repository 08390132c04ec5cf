"""Whether CUDA graphs are trusted with a model's decode steps: each size is tried on the machine.

A model is recorded when it is loaded, before memory is shared out. Every size takes steps of
made-up rows beside ``LeanLayers``; it is kept where its outputs are the same within rounding and
come sooner. One that is wrong is enough to trust none. Whatever goes wrong, steps are computed as
without graphs, and the log says so. Letters: ``B`` rows, ``H`` heads, ``W`` width of a head.
"""

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from llava_custom.cuda_recorder import CudaRecorder
from llava_custom.device_memory import release, unclaimed_bytes
from llava_custom.lean_layers import LeanLayers
from llava_custom.load_report import human_size
from llava_custom.step_graphs import Recorder, StepGraphs

logger = logging.getLogger(__name__)

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


@dataclass(frozen=True, slots=True)
class Recording:
    """What came of it.

    Attributes:
        graphs: To be used; ``None``: none are.
        trials: Of all sizes that were tried, the smallest first.
        num_bytes: Memory of the device that they took, about.
        problem: Why none are used; empty where some are.
    """

    graphs: StepGraphs | None
    trials: Sequence[Trial] = ()
    num_bytes: int = 0
    problem: str = ""


def record_steps(layers: LeanLayers | None, max_rows: int, device: torch.device) -> Recording:
    """Record a model's decode steps where that can be and pays, and log what came of it.

    Args:
        layers: ``None`` where the decoder has none.
        max_rows: Of a batch; 0: record nothing.
        device: Of the layers.
    """
    if not max_rows:
        return Recording(None, problem="CUDA graphs are off")
    if device.type != "cuda":
        return Recording(None, problem=f"CUDA graphs need a CUDA device, not {device.type}")
    obstacle = obstacle_of(layers)
    if layers is None or obstacle:
        logger.info("decode steps are computed without CUDA graphs: %s", obstacle)
        return Recording(None, problem=obstacle)
    return tell(try_graphs(layers, max_rows, device, lambda: CudaRecorder(device)))


def obstacle_of(layers: LeanLayers | None) -> str:
    """Why there is no use in trying; empty where there is.

    Source: vLLM's bitsandbytes layers: those of 4 bits are recorded since bitsandbytes 0.44,
    those of 8 bits look for outliers, and the host waits to be told.
    """
    if layers is None:
        return "the decoder is of a kind that has no lean layers, or spread over devices"
    weights = (getattr(layer.query, "weight", None) for layer in layers.layers)
    if any(weight is not None and weight.dtype == torch.int8 for weight in weights):
        return "layers in int8 wait for the device"
    return ""


def tell(recording: Recording) -> Recording:
    """Log what came of it in a line."""
    figures = "; ".join(map(str, recording.trials))
    if recording.graphs is not None:
        size = human_size(recording.num_bytes)
        logger.info("decode steps are replayed as CUDA graphs, which take %s: %s", size, figures)
    elif recording.trials and all(trial.is_right for trial in recording.trials):
        logger.info("decode steps are computed without CUDA graphs: %s", recording.problem)
    else:
        logger.warning("decode steps are computed without CUDA graphs: %s", recording.problem)
    return recording


def try_graphs(
    layers: LeanLayers,
    max_rows: int,
    device: torch.device,
    recorder: Callable[[], Recorder],
    timer: Timer | None = None,
) -> Recording:
    """Record every size and keep those that are right and pay; raises nothing.

    Args:
        layers: What is recorded.
        max_rows: Of a batch, at least 1.
        device: Of the layers.
        recorder: Makes what records them.
        timer: Seconds of some work with everything that it queued.
    """
    release(device)
    before = unclaimed_bytes(device)
    problem, trials = "", list[Trial]()
    graphs: StepGraphs | None = None
    try:
        graphs = StepGraphs(layers, max_rows, device, recorder())
        trials = try_all(graphs, device, timer or seconds_of)
    except Exception as exc:  # noqa: BLE001 - a driver's or a library's; there is a way without
        problem = f"they could not be recorded: {_first_line(exc)}"
    # By now the exception's frames are gone, and with them what they held.
    problem = problem or problem_of(trials)
    if graphs is None or problem:
        graphs = None
        release(device)
        return Recording(None, trials, problem=problem)
    graphs.keep([trial.size for trial in trials if trial.pays])
    release(device)
    return Recording(graphs, trials, max(0, before - unclaimed_bytes(device)))


def problem_of(trials: Sequence[Trial]) -> str:
    """Why none of the sizes is used; empty where some are."""
    for trial in trials:
        if not trial.is_right:
            return (
                f"their outputs for {trial.num_rows} rows are {trial.error:.2g} of their length "
                f"away from those without, and {trial.tolerance:.2g} is allowed"
            )
    if not any(trial.pays for trial in trials):
        return f"they are no faster here: {'; '.join(map(str, trials))}"
    return ""


@torch.inference_mode()
def try_all(graphs: StepGraphs, device: torch.device, timer: Timer) -> list[Trial]:
    """Each size against the layers, with one row more than the next smaller size is for."""
    return [
        _try_size(graphs, size, smaller + 1, device, timer)
        for smaller, size in pairwise((0, *graphs.sizes))
    ]


class OwnToken:
    """A step of rows that hold nothing: each sees its own token and a made-up one.

    What it sees depends on every number of query, key and value, and on where the token stands.
    """

    def update(self, keys: Tensor, values: Tensor, layer_idx: int) -> tuple["OwnKeyValue", None]:
        """Take a layer's keys and values, (B, heads, 1, W)."""
        return OwnKeyValue(keys, values), None


@dataclass(frozen=True, slots=True, eq=False)
class OwnKeyValue:
    """The token's own; the made-up one has ones as its key, and the token's key as its value."""

    key: Tensor
    value: Tensor

    def attend(self, query: Tensor, scaling: float | None) -> Tensor:
        """(B, H, 1, W) -> (B, 1, H, W)."""
        num_rows, num_heads, _, width = query.shape
        shared = query.reshape(num_rows, self.key.shape[1], -1, width)
        scores = (shared * (self.key - 1)).sum(-1, keepdim=True) * (scaling or 1)
        seen = torch.lerp(self.key, self.value, scores.sigmoid())
        return seen.reshape(num_rows, 1, num_heads, width)


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


def seconds_of(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds of some work with everything that it queued, on the host's clock."""
    _synchronize(device)
    began_s = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - began_s


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _first_line(exc: Exception) -> str:
    line = next(iter(str(exc).splitlines()), "")
    return f"{type(exc).__name__}: {line}" if line else type(exc).__name__
