"""What a turn of the engine adds to the model's own decode step: everything that is not it.

From the beginning of one step to that of the next, with every row running: scheduling, drawing,
text, counting and handing out, less the step. The engine runs as it is served, in this process.
"""

import queue
import statistics
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from bench.engine.table import markdown
from contracts.chat import ChatMessage, TextPart
from contracts.errors import ServiceError
from contracts.generation import GenerationRequest, SamplingParams, TokenDelta
from llava_custom import LoadOptions
from runners.engine import Engine
from runners.family import ModelFamily
from runners.jobs import Job
from runners.limits import EngineLimits
from runners.loading import load_model

BATCHES = (1, 4, 16, 64)
NUM_TOKENS = 128  # the first must still be written when the last of 64 begin
WAIT_S = 120
COLUMNS = ("batch", "step ms", "greedy adds ms", "%", "sampled adds ms", "%")


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds at the median: of the model's step, and of all else until the next one."""

    step_s: float
    added_s: float

    @property
    def cells(self) -> tuple[str, str]:
        """What is added, in milliseconds and in percent of the step."""
        return f"{self.added_s * 1e3:.2f}", f"{100 * self.added_s / self.step_s:.1f}"


@dataclass(eq=False)
class Timed:
    """A model whose steps are noted: their rows, beginnings and ends."""

    model: ModelFamily
    steps: list[tuple[int, float, float]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the model has
        return getattr(self.model, name)

    def decode_step(self, token_ids: Tensor, positions: Tensor, kv_cache: Any) -> Tensor:  # noqa: ANN401
        """The model's own."""
        began_s = time.perf_counter()
        logits = self.model.decode_step(token_ids, positions, kv_cache)
        self.steps.append((len(token_ids), began_s, time.perf_counter()))
        return logits


def measure_overhead(checkpoint: Path, batches: Iterable[int] = BATCHES) -> str:
    """The table."""
    options = LoadOptions(dtype=torch.bfloat16, is_packed=True)
    with ThreadPoolExecutor(1) as thread:  # OpenMP's threads end with it: the engine has its own
        model = thread.submit(load_model, str(checkpoint), options).result()
    rows = []
    for batch_size in batches:
        greedy = _turn(model, batch_size, SamplingParams(max_tokens=NUM_TOKENS))
        sampled = _turn(
            model,
            batch_size,
            SamplingParams(max_tokens=NUM_TOKENS, min_tokens=NUM_TOKENS, temperature=1, top_p=0.9),
        )
        step_ms = f"{greedy.step_s * 1e3:.1f}"
        rows.append((str(batch_size), step_ms, *greedy.cells, *sampled.cells))
    return markdown(COLUMNS, rows)


def _turn(model: ModelFamily, batch_size: int, sampling: SamplingParams) -> Turn:
    timed = Timed(model)
    limits = EngineLimits(max_waiting=batch_size, max_choices=batch_size, max_kv_bytes=1 << 40)
    engine = Engine(cast("ModelFamily", timed), limits)
    answers = [_ask(engine, model, sampling, number) for number in range(batch_size)]
    thread = threading.Thread(target=engine.run)
    thread.start()
    for answer in answers:
        while (item := answer.get(timeout=WAIT_S)) is not None:
            if isinstance(item, ServiceError):
                raise item
    engine.close()
    thread.join(WAIT_S)
    full = [(began_s, ended_s) for rows, began_s, ended_s in timed.steps if rows == batch_size]
    return Turn(
        statistics.median(ended_s - began_s for began_s, ended_s in full),
        statistics.median(later[0] - earlier[1] for earlier, later in pairwise(full)),
    )


def _ask(
    engine: Engine, model: ModelFamily, sampling: SamplingParams, number: int
) -> "queue.Queue[TokenDelta | ServiceError | None]":
    items: queue.Queue[TokenDelta | ServiceError | None] = queue.Queue()
    messages = (ChatMessage("user", (TextPart(f"{number}: what is there to be seen?"),)),)
    request = GenerationRequest("bench", messages, sampling, time.monotonic() + WAIT_S)
    engine.submit(Job(request, model.plan(messages), sampling.max_tokens, items.put))
    return items
