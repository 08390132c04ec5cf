"""Rows to Markdown. Knows nothing of torch, nor how anything was measured."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from bench.gpu_rows import GraphSteps, GraphTrial, Loaded, Measure, Problem, Row, Timing

GIB = 2**30


@dataclass(slots=True)
class Report:
    """All rows so far, and what they were measured on.

    Attributes:
        command: As it was typed.
        machine: Hardware and software, a line each.
        bytes_per_s: Read and written by a copy on the device.
        operations_per_s: Of a product of large matrices in bfloat16.
    """

    command: str
    machine: Sequence[str]
    bytes_per_s: float
    operations_per_s: float
    rows: list[Row] = field(default_factory=list)

    def markdown(self) -> str:
        """The whole document."""
        loaded = [row for row in self.rows if isinstance(row, Loaded)]
        timings = [row for row in self.rows if isinstance(row, Timing)]
        trials = [row for row in self.rows if isinstance(row, GraphTrial)]
        steps = [row for row in self.rows if isinstance(row, GraphSteps)]
        problems = [row for row in self.rows if isinstance(row, Problem)]
        sections = [
            self._head(),
            _section(LOADING, map(_loaded_cells, loaded)),
            _section(FIRST_TOKEN, self._case_cells(timings, "first token", self._first_cells)),
            _section(STEPS, self._case_cells(timings, "steps", self._step_cells)),
            _section(GRAPH_STEPS, map(_graph_cells, steps)),
            _section(GRAPH_TRIALS, map(_trial_cells, trials)),
            _section(PROBLEMS, ((_code(row.name), _cell(row.reason)) for row in problems)),
        ]
        return "\n\n".join(section for section in sections if section) + "\n"

    def _head(self) -> str:
        ceilings = (
            f"Measured in the same run: a copy on the device moves {self.bytes_per_s / 1e12:.3g} "
            f"TB/s, read and written; a product of large bfloat16 matrices does "
            f"{self.operations_per_s / 1e12:.3g} TFLOP/s."
        )
        lines = [f"- {line}" for line in (*self.machine, ceilings)]
        return "\n".join(["# On a GPU", "", f"`{self.command}`", "", INTRODUCTION, "", *lines])

    def _case_cells(
        self,
        timings: Iterable[Timing],
        measure: Measure,
        cells: Callable[[list[Timing]], tuple[str, ...]],
    ) -> Iterator[tuple[str, ...]]:
        wanted = (timing for timing in timings if timing.measure == measure)
        for (name, _), case in groupby(wanted, key=lambda timing: (timing.name, timing.size)):
            yield (_code(name), *cells(list(case)))

    def _first_cells(self, case: list[Timing]) -> tuple[str, ...]:
        """Seconds, least by arithmetic."""
        ways = {timing.way: timing for timing in case}
        least_s = case[0].work / self.operations_per_s
        engine_s, generate_s = (_seconds(ways, way) for way in ("engine", "generate"))
        return (
            str(case[0].size),
            _thousands(case[0].num_tokens),
            _number(least_s),
            *(_told(ways, way, _number) for way in ("engine", "encode", "generate")),
            _ratio(engine_s, least_s),
            _ratio(engine_s, generate_s),
            *(_peak(ways, way) for way in ("engine", "generate")),
        )

    def _step_cells(self, case: list[Timing]) -> tuple[str, ...]:
        """Tokens a second of all sequences, at most by bandwidth."""
        ways, batch_size = {timing.way: timing for timing in case}, case[0].size
        least_s = case[0].work / self.bytes_per_s
        engine_s, generate_s = (_seconds(ways, way) for way in ("engine", "generate"))
        names = ("engine", "decode step", "generate")
        return (
            str(batch_size),
            _thousands(case[0].num_tokens),
            f"{case[0].work / GIB:.2f}",
            _number(batch_size / least_s),
            *(_told(ways, way, lambda seconds: _number(batch_size / seconds)) for way in names),
            _ratio(least_s, engine_s),
            _ratio(generate_s, engine_s),
            *(_peak(ways, way) for way in names),
        )


@dataclass(frozen=True, slots=True)
class Heading:
    """A table's title, its columns, and how to read it."""

    title: str
    columns: tuple[str, ...]
    note: str = ""


INTRODUCTION = (
    "Weights and frames are random: this measures time and memory, not answers. Every number is a "
    "median after a warm-up. `generate` is that of transformers on the same network and the same "
    "embeddings; `engine` is Lookout's, from a request to its tokens; `decode step` is the model "
    "alone, without drawing tokens and making text."
)
LOADING = Heading(
    "Loading",
    (
        "variant",
        "seconds",
        "weights GiB",
        "on the device GiB",
        "while loading, at most GiB",
        "a step reads GiB of weights",
        "KiB of keys and values a token",
    ),
    "The files were written just before and come from the page cache.",
)
FIRST_TOKEN = Heading(
    "Seconds to the first token",
    (
        "variant",
        "frames",
        "prompt tokens",
        "at least",
        "engine",
        "of it, encoding",
        "generate",
        "engine / at least",
        "engine / generate",
        "peak GiB: engine",
        "generate",
    ),
    "From decoded frames to the first token; both columns encode the frames with our code. At "
    "least: operations / measured rate; operations are two for each weight of the layers and "
    "position, and the products of attention (those of later positions left out), of the vision "
    "tower and the language model.",
)
STEPS = Heading(
    "Tokens per second",
    (
        "variant",
        "batch",
        "context",
        "a step reads GiB",
        "at most",
        "engine",
        "decode step",
        "generate",
        "engine / at most",
        "engine / generate",
        "peak GiB: engine",
        "decode step",
        "generate",
    ),
    "Of all sequences together, without the first token. The engine's batch is one request with "
    "as many choices. At most: batch x measured bandwidth / bytes that a step reads; those are the "
    "weights of layers, last norm and head as they are stored, once, and batch x context x keys "
    "and values of a token (the table above has both). Activations, and what 4-bit kernels unpack "
    "for themselves, are left out.",
)
GRAPH_STEPS = Heading(
    "Decode steps as CUDA graphs",
    ("variant", "batch", "context", "without ms", "with ms", "without / with"),
    "The model's own steps, attention and head included, on the engine's rows, both ways by turns.",
)
GRAPH_TRIALS = Heading(
    "CUDA graphs, as they were tried at start",
    ("variant", "recorded rows", "rows", "without ms", "with ms", "apart", "used"),
    "Each size with the fewest rows that it is for, attention left out. Apart: the distance of the "
    "outputs of both ways, by their length.",
)
PROBLEMS = Heading("Not measured", ("variant", "why"))


def _section(heading: Heading, rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    if not lines:
        return ""
    head = [f"| {' | '.join(heading.columns)} |", "|" + " --- |" * len(heading.columns)]
    note = [heading.note, ""] if heading.note else []
    return "\n".join([f"## {heading.title}", "", *note, *head, *lines])


def _loaded_cells(row: Loaded) -> tuple[str, ...]:
    return (
        _code(row.name),
        _number(row.load_s),
        f"{row.weight_bytes / GIB:.2f}",
        _gib(row.used_bytes),
        _gib(row.peak_bytes),
        f"{row.step_bytes / GIB:.2f}",
        f"{row.kv_bytes / 2**10:g}",
    )


def _graph_cells(row: GraphSteps) -> tuple[str, ...]:
    told = [
        _cell(row.problem) if seconds is None else _number(seconds * 1e3)
        for seconds in (row.eager_s, row.graph_s)
    ]
    ratio = _ratio(row.eager_s, row.graph_s)
    return (_code(row.name), str(row.batch_size), _thousands(row.context), *told, ratio)


def _trial_cells(row: GraphTrial) -> tuple[str, ...]:
    return (
        _code(row.name),
        str(row.size),
        str(row.num_rows),
        _number(row.eager_s * 1e3),
        _number(row.graph_s * 1e3),
        f"{row.error:.2g}",
        "yes" if row.is_used else "no",
    )


def _seconds(ways: dict[str, Timing], way: str) -> float | None:
    return ways[way].seconds if way in ways else None


def _told(ways: dict[str, Timing], way: str, tell: Callable[[float], str]) -> str:
    """The number, or why there is none."""
    if way not in ways:
        return "-"
    seconds = ways[way].seconds
    return _cell(ways[way].problem) if seconds is None else tell(seconds)


def _peak(ways: dict[str, Timing], way: str) -> str:
    return _gib(ways[way].peak_bytes) if way in ways else "-"


def _ratio(upper: float | None, lower: float | None) -> str:
    return "-" if upper is None or lower is None else f"{upper / lower:.2f}"


def _gib(num_bytes: int | None) -> str:
    return "-" if num_bytes is None else f"{num_bytes / GIB:.2f}"


def _number(value: float) -> str:
    """Three digits, the thousands apart."""
    return f"{value:.3g}" if value < 1000 else _thousands(round(value))


def _thousands(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "/")
