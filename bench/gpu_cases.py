"""Everything that is measured of one variant: a model, its weights' precision, its attention."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Literal

import torch

from bench.gpu_device import memory_of
from bench.gpu_graphs import measure_graphs, recording_of
from bench.gpu_rows import Loaded, Problem, Row, Timing
from bench.gpu_subject import Subject, reason_of, served
from bench.gpu_ways import FIRST_TOKEN, STEPS
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.device_clock import seconds_of

Weights = Literal["bf16", "nf4"]
Attention = Literal["sdpa", "flash_attention_2"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to load one model."""

    model: str
    weights: Weights
    attention: Attention

    @property
    def name(self) -> str:
        """Its parts with slashes between them."""
        return f"{self.model}/{self.weights}/{self.attention}"

    def options(self, device: torch.device, graph_rows: int = 0) -> LoadOptions:
        """How it is loaded, with CUDA graphs for so many rows."""
        return LoadOptions(
            quantization="none" if self.weights == "bf16" else self.weights,
            attention=self.attention,
            device=str(device),
            dtype=torch.bfloat16,
            graph_rows=graph_rows,
        )


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        frames: Of the clips whose first token is timed.
        batches: Sequences that take steps together.
        num_tokens: Of an answer whose steps are timed.
        num_runs: Of each case, after one that is not counted.
        graph_batches: Sequences that take steps together, with CUDA graphs and without.
        graph_context: Tokens of each.
    """

    frames: Sequence[int]
    batches: Sequence[int]
    num_tokens: int
    num_runs: int
    graph_batches: Sequence[int]
    graph_context: int


FULL = Extent(
    frames=(8, 16, 32, 64),
    batches=(1, 8, 32),
    num_tokens=33,
    num_runs=3,
    graph_batches=(1, 4, 16, 64),
    graph_context=256,
)
TINY = Extent(
    frames=(1, 2), batches=(1, 2), num_tokens=3, num_runs=2, graph_batches=(1, 3), graph_context=8
)


def measure(variant: Variant, path: str, device: torch.device, extent: Extent) -> Iterator[Row]:
    """Load a checkpoint and time it, the most telling cases first."""
    models: list[VisionLanguageModel] = []
    options = variant.options(device, max(extent.graph_batches))
    try:
        with memory_of(device) as memory:
            load_s = seconds_of(device, lambda: models.append(load_checkpoint(path, options)))
    except Exception as exc:  # noqa: BLE001 - whatever it is, it becomes a row
        yield Problem(variant.name, reason_of(exc))
        return
    with served(models[0]) as subject, torch.inference_mode():
        network = subject.network
        yield Loaded(
            variant.name,
            load_s,
            network.weight_bytes,
            memory.used_bytes,
            memory.peak_bytes,
            network.step_bytes,
            network.kv_bytes_per_token,
        )
        cases = Cases(variant.name, subject, extent)
        yield from cases.steps(extent.batches[0])
        yield from cases.graphs()
        for num_frames in extent.frames:
            yield from cases.first_token(num_frames)
        for batch_size in extent.batches[1:]:
            yield from cases.steps(batch_size)


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of a loaded variant; each gives a row for every way of computing it."""

    name: str
    subject: Subject
    extent: Extent

    def first_token(self, num_frames: int) -> Iterator[Timing]:
        """Seconds to the first token of a clip."""
        num_tokens = self._num_prompt_tokens(num_frames)
        work = self.subject.network.first_token_operations(num_frames, num_tokens)
        case = Timing(self.name, "first token", num_frames, "", num_tokens, work)
        for way, run in FIRST_TOKEN.items():
            yield self._timed(replace(case, way=way), partial(run, self.subject, num_frames))

    def steps(self, batch_size: int) -> Iterator[Timing]:
        """Seconds of a decode step after a clip of the model's usual length."""
        most, num_new = self.extent.frames[-1], self.extent.num_tokens
        num_frames = min(self.subject.model.frame_policy.num_frames, most)
        context = self._num_prompt_tokens(num_frames) + num_new // 2
        work = self.subject.network.read_bytes(batch_size, context)
        case = Timing(self.name, "steps", batch_size, "", context, work)
        for way, run in STEPS.items():
            steps = partial(run, self.subject, num_frames, batch_size, num_new)
            yield self._timed(replace(case, way=way), steps)

    def graphs(self) -> Iterator[Row]:
        """What CUDA graphs make of decode steps."""
        batches, model = self.extent.graph_batches, self.subject.model
        recording = recording_of(model, max(batches))
        context, num_steps = self.extent.graph_context, self.extent.num_tokens
        return measure_graphs(self.name, model, recording, batches, context, num_steps)

    def _num_prompt_tokens(self, num_frames: int) -> int:
        return self.subject.model.plan(self.subject.ask(num_frames)).tokens.total

    def _timed(self, case: Timing, run: Callable[[], list[float]]) -> Timing:
        """The case with its median, or with the reason why there is none."""
        context_length = self.subject.model.context_length
        if case.num_tokens + self.extent.num_tokens > context_length:
            return replace(case, problem=f"the model takes {context_length} tokens")
        with memory_of(self.subject.device) as memory:
            timed = self._run(case, run)
        return replace(timed, peak_bytes=memory.peak_bytes)

    def _run(self, case: Timing, run: Callable[[], list[float]]) -> Timing:
        try:
            run()
            runs = [run() for _ in range(self.extent.num_runs)]
        except Exception as exc:  # noqa: BLE001 - whatever it is, it becomes a row
            return replace(case, problem=reason_of(exc))
        return replace(case, seconds=statistics.median(chain.from_iterable(runs)))
