"""What was measured, as values that travel from one process to another. Knows nothing of torch."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

Measure = Literal["first token", "steps"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A variant after loading.

    Attributes:
        name: Model, weights and attention, with slashes between them.
        load_s: From the call to a model that answers, the files in the page cache.
        weight_bytes: As stored on the device, counted tensor by tensor.
        used_bytes: What the device's allocator holds afterwards; ``None`` on a CPU.
        peak_bytes: At most while it loaded.
        step_bytes: Weights that a decode step reads.
        kv_bytes: Keys and values of one token.
    """

    name: str
    load_s: float
    weight_bytes: int
    used_bytes: int | None
    peak_bytes: int | None
    step_bytes: int
    kv_bytes: int


@dataclass(frozen=True, slots=True)
class Timing:
    """One way of computing one case.

    Attributes:
        name: The variant's.
        measure: Seconds to the first token, or of one decode step.
        size: Frames of the clip, or sequences in the batch.
        way: As ``gpu_ways`` names it.
        num_tokens: Of the prompt, or of the context in the middle of the measured steps.
        work: Operations to the first token, or bytes that a step reads.
        seconds: The median; ``None`` where there is a problem.
        peak_bytes: Of the device at most; ``None`` on a CPU.
        problem: Why there is no median.
    """

    name: str
    measure: Measure
    size: int
    way: str
    num_tokens: int
    work: int
    seconds: float | None = None
    peak_bytes: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GraphTrial:
    """One size of a variant's CUDA graphs, as it was tried while the weights were loaded.

    Attributes:
        name: The variant's.
        size: Rows that were recorded.
        num_rows: Rows that took the steps.
        eager_s: Seconds of a step without graphs; attention is left out of both.
        graph_s: Likewise with them.
        error: How far the outputs are apart, by their length.
        is_used: Whether steps of such batches are replayed.
    """

    name: str
    size: int
    num_rows: int
    eager_s: float
    graph_s: float
    error: float
    is_used: bool


@dataclass(frozen=True, slots=True)
class GraphSteps:
    """Whole decode steps with CUDA graphs and without.

    Attributes:
        name: The variant's.
        batch_size: Rows.
        context: Tokens of each when the first step is taken.
        eager_s: Seconds of a step without graphs, the median; ``None`` where there is a problem.
        graph_s: Likewise with them.
        problem: Why there are no medians.
    """

    name: str
    batch_size: int
    context: int
    eager_s: float | None = None
    graph_s: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a variant, or the rest of it, was not measured."""

    name: str
    reason: str


Row = Loaded | Timing | GraphTrial | GraphSteps | Problem


def to_line(row: Row) -> str:
    """One line of JSON."""
    return json.dumps({type(row).__name__: asdict(row)})


def from_line(line: str) -> Row | None:
    """The row in a line that ``to_line`` wrote; ``None`` for whatever else a library printed."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    for kind in (Loaded, Timing, GraphTrial, GraphSteps, Problem):
        if isinstance(content, dict) and kind.__name__ in content:
            return kind(**content[kind.__name__])
    return None
