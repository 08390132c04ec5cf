"""Whether CUDA graphs are trusted with a model's decode steps: each size is tried on the machine.

A model is recorded when it is loaded, before memory is shared out. A size is kept where its outputs
are those of ``LeanLayers`` within rounding and come sooner; one that is wrong is enough to trust
none. Whatever goes wrong, steps are computed as without graphs, and the log says so.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from llava_custom.cuda_recorder import CudaRecorder
from llava_custom.device_clock import seconds_of
from llava_custom.device_memory import release, unclaimed_bytes
from llava_custom.lean_layers import LeanLayers
from llava_custom.load_report import human_size
from llava_custom.step_graphs import Recorder, StepGraphs
from llava_custom.step_trials import Timer, Trial, try_all

logger = logging.getLogger(__name__)


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


def _first_line(exc: Exception) -> str:
    line = next(iter(str(exc).splitlines()), "")
    return f"{type(exc).__name__}: {line}" if line else type(exc).__name__
