"""A decode step against batch and context, beside what arithmetic says it takes at least.

Bytes are the weights that a step reads, once, and the keys and values of all rows; operations are
two for each weight and row, and attention's. Both are divided by rates measured in the same run.
A second time is of rows that answer one prompt, whose keys and values are held and read once.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import DynamicCache

from bench.engine.checkpoint import HIDDEN_SIZE, VOCABULARY
from bench.engine.table import markdown
from llava_custom import Embedded, LoadOptions
from llava_custom.checkpoint import read_shapes
from llava_custom.kv_rows import KvRows
from llava_custom.symbols import Symbols
from runners.family import ModelFamily
from runners.loading import load_model

BATCHES = (1, 4, 16, 64)
CONTEXTS = (100, 500, 1500)
REPEATS = 9
COPIED_BYTES = 256 << 20
WEIGHT_BYTES = 2  # bfloat16
KV_BYTES = 4  # keys and values are float32 on CPUs
SIDE = 1024  # of the matrices whose product is timed


@dataclass(frozen=True, slots=True)
class Rates:
    """What the machine does at most.

    Attributes:
        bytes_per_s: Read from memory.
        operations_per_s: Of products of matrices in bfloat16.
    """

    bytes_per_s: float
    operations_per_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """One size, and how long a step took at the median.

    Attributes:
        seconds: Of rows with keys and values of their own.
        shared_s: Of rows that begin with the same.
    """

    batch_size: int
    context: int
    num_bytes: int
    num_operations: int
    seconds: float
    shared_s: float

    def least_s(self, rates: Rates) -> float:
        """The longer of reading and computing."""
        reading_s = self.num_bytes / rates.bytes_per_s
        return max(reading_s, self.num_operations / rates.operations_per_s)

    def cells(self, rates: Rates) -> tuple[str, ...]:
        """Of the table."""
        least_s = self.least_s(rates)
        return (
            str(self.batch_size),
            str(self.context),
            f"{self.num_bytes / 1e6:.0f}",
            f"{self.num_operations / 1e9:.2f}",
            f"{least_s * 1e3:.1f}",
            f"{self.seconds * 1e3:.1f}",
            f"{self.seconds / least_s:.1f}",
            f"{self.batch_size / self.seconds:.0f}",
            f"{self.shared_s * 1e3:.1f}",
        )


COLUMNS = (
    "batch", "context", "MB", "GFLOP", "at least ms", "step ms", "ratio", "tokens/s", "shared ms",
)  # fmt: skip


def measure_growth(
    checkpoint: Path, batches: Iterable[int] = BATCHES, contexts: Iterable[int] = CONTEXTS
) -> str:
    """The table, and what the machine does at most."""
    model = load_model(str(checkpoint), LoadOptions(dtype=torch.bfloat16, is_packed=True))
    rates = measure_rates()
    with torch.inference_mode():
        steps = list(_steps(model, step_weights(checkpoint), batches, contexts))
    rows = markdown(COLUMNS, [step.cells(rates) for step in steps])
    return (
        f"Memory is read at {rates.bytes_per_s / 1e9:.1f} GB/s, and products of bfloat16 matrices "
        f"do {rates.operations_per_s / 1e9:.0f} GFLOP/s, on {torch.get_num_threads()} threads.\n\n"
        + rows
    )


def measure_rates() -> Rates:
    """Both, at the median."""
    memory = torch.ones(COPIED_BYTES // 4)
    reading_s = _median_s(memory.sum)
    left, right = (torch.randn(SIDE, SIDE).bfloat16() for _ in range(2))
    product_s = _median_s(lambda: left @ right)
    return Rates(COPIED_BYTES / reading_s, 2 * SIDE**3 / product_s)


def step_weights(checkpoint: Path) -> int:
    """Weights that a step reads: layers, last norm and head; of the embeddings, a row a token."""
    shapes = read_shapes(checkpoint)
    names = [name for name in shapes if "language_model" in name and "embed_tokens" not in name]
    return sum(math.prod(shapes[name]) for name in names)


def _steps(
    model: ModelFamily, num_weights: int, batches: Iterable[int], contexts: Iterable[int]
) -> Iterator[Step]:
    for context in contexts:
        kv_cache = model.new_kv_cache()
        prompt = torch.randn(1, context, HIDDEN_SIZE, dtype=torch.bfloat16)
        model.prefill(Embedded.in_order(prompt), kv_cache)
        numbers = sum(one.keys.numel() + one.values.numel() for one in kv_cache.layers)
        for batch_size in batches:
            yield Step(
                batch_size,
                context,
                WEIGHT_BYTES * num_weights + batch_size * numbers * KV_BYTES,
                2 * batch_size * (num_weights + numbers),
                _step_s(model, kv_cache, batch_size, context),
                _step_s(model, kv_cache, batch_size, context, np.arange(context)),
            )


def _step_s(
    model: ModelFamily,
    kv_cache: DynamicCache,
    batch_size: int,
    context: int,
    symbols: Symbols | None = None,
) -> float:
    """Of rows with one prompt; they share it where its symbols are known."""
    rows = KvRows()
    rows.add(kv_cache, num_rows=batch_size, room=1, symbols=symbols)
    token_ids = torch.arange(batch_size) % VOCABULARY
    positions = torch.full((batch_size,), context)
    return _median_s(lambda: model.decode_step(token_ids, positions, rows.next_step()))


def _median_s(call: Callable[[], object]) -> float:
    times_s = []
    for _ in range(REPEATS + 2):
        began_s = time.perf_counter()
        call()
        times_s.append(time.perf_counter() - began_s)
    return statistics.median(times_s[2:])
