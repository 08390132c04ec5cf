"""Decode steps with CUDA graphs and without, and what the trial at start made of them.

A step here is the model's alone, on the engine's rows, attention and head included; the trial's
leave attention out. On a CPU, where nothing can be recorded, the pieces are run as they are.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from transformers import DynamicCache

from bench.gpu_device import Stopwatch, free
from bench.gpu_rows import GraphSteps, GraphTrial, Problem, Row
from bench.gpu_subject import reason_of
from llava_custom import Embedded, VisionLanguageModel
from llava_custom.device_clock import seconds_of
from llava_custom.kv_rows import KvRows
from llava_custom.step_graphs import StepGraphs, unrecorded
from llava_custom.step_proof import Recording
from llava_custom.step_trials import Trial, try_all
from runners.passes import PREFILL_CHUNK

WITHOUT = Recording(None, problem="left out to compare")


def measure_graphs(
    name: str,
    model: VisionLanguageModel,
    recording: Recording,
    batches: Sequence[int],
    context: int,
    num_steps: int,
) -> Iterator[Row]:
    """The trials at start, then whole steps both ways; or why there are none.

    Args:
        name: The variant's.
        model: Whose steps they are.
        recording: Of its steps.
        batches: Rows that take steps together.
        context: Tokens of the prompt that they share.
        num_steps: Timed, each way.
    """
    yield from (_told(name, trial, recording.graphs) for trial in recording.trials)
    if recording.graphs is None:
        yield Problem(name, f"CUDA graphs: {recording.problem}")
        return
    for batch_size in batches:
        row = GraphSteps(name, batch_size, context)
        try:
            yield _measured(row, model, recording, num_steps)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it becomes a row
            yield replace(row, problem=reason_of(exc))
        free(model.device)


def recording_of(model: VisionLanguageModel, max_rows: int) -> Recording:
    """What loading recorded; on a CPU, the pieces that a GPU would record."""
    layers = model.language._lean_layers
    if model.device.type == "cuda" or layers is None:
        return model.language.recording
    graphs = StepGraphs(layers, max_rows, model.device, unrecorded)
    return Recording(graphs, try_all(graphs, model.device, seconds_of))


def _told(name: str, trial: Trial, graphs: StepGraphs | None) -> GraphTrial:
    is_used = graphs is not None and graphs.size_for(trial.size) is not None
    return GraphTrial(
        name, trial.size, trial.num_rows, trial.eager_s, trial.graph_s, trial.error, is_used
    )


def _measured(
    row: GraphSteps, model: VisionLanguageModel, recording: Recording, num_steps: int
) -> GraphSteps:
    """Both ways, by turns; the first turn is not counted."""
    if recording.graphs is None or recording.graphs.size_for(row.batch_size) is None:
        return replace(row, problem="not used: no faster in the trial")
    kv_cache, usual = _prompt(model, row.context), model.language.recording
    medians_s = {}
    try:
        for _ in range(2):
            for way in (WITHOUT, recording):
                model.language.recording = way
                laps_s = _steps_s(model, kv_cache, row, num_steps)
                medians_s[way is recording] = statistics.median(laps_s)
    finally:
        model.language.recording = usual
    return replace(row, eager_s=medians_s[False], graph_s=medians_s[True])


def _prompt(model: VisionLanguageModel, num_tokens: int) -> DynamicCache:
    """Keys and values of random embeddings."""
    size = (1, num_tokens, model.language.hidden_size)
    embeds = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    kv_cache = model.new_kv_cache()
    for stretch in Embedded.in_order(embeds.to(model.device)).split(PREFILL_CHUNK):
        model.prefill(stretch, kv_cache)
    return kv_cache


def _steps_s(
    model: VisionLanguageModel, kv_cache: DynamicCache, row: GraphSteps, num_steps: int
) -> list[float]:
    rows, stopwatch = KvRows(), Stopwatch(model.device)
    rows.add(kv_cache, num_rows=row.batch_size, room=num_steps)
    token_ids = torch.arange(row.batch_size, device=model.device)
    positions = torch.full_like(token_ids, row.context)
    stopwatch.mark()
    for step in range(num_steps):
        logits = model.decode_step(token_ids, positions + step, rows.next_step())
        rows.commit()
        token_ids = logits.argmax(-1)
        stopwatch.mark()
    return stopwatch.laps_s()
