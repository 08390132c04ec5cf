"""Checkpoints of full size on a GPU: loading, memory, first token, tokens per second.

``python -m bench.gpu`` needs a CUDA device, 25 GB for files and no network: it draws random
weights of the published sizes, writes them as the original checkpoints are and loads them as the
service does. The table is written after every row, so a run that is cut leaves one. ``--tiny``
takes the same way on a CPU with tiny checkpoints, to see that it works.

No table is committed yet: no GPU has run this so far.
"""

import argparse
import importlib.util
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import torch

from bench.gpu_cases import FULL, TINY, Variant, measure
from bench.gpu_device import describe, free, measure_ceilings, open_device
from bench.gpu_llava_video import LLAVA_TINY, LLAVA_VIDEO_7B, write_llava
from bench.gpu_rows import Problem, Row, from_line, to_line
from bench.gpu_subject import reason_of
from bench.gpu_table import Report
from bench.gpu_vila import VILA_3B, VILA_TINY, write_vila

TABLE = Path("docs/gpu.md")
TINY_TABLE = Path("build/bench-gpu-tiny.md")
BUDGET_S = 540.0  # ten minutes less what surrounds the run

Write = Callable[[Path, torch.device], None]

# The most telling first: the budget cuts the end.
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("llava-video", "bf16", "sdpa"),
        Variant("llava-video", "nf4", "sdpa"),
        Variant("vila", "bf16", "sdpa"),
        Variant("vila", "nf4", "sdpa"),
        Variant("llava-video", "bf16", "flash_attention_2"),
        Variant("llava-video", "nf4", "flash_attention_2"),
        Variant("vila", "bf16", "flash_attention_2"),
        Variant("vila", "nf4", "flash_attention_2"),
    )
}
MODULES = {"nf4": "bitsandbytes", "flash_attention_2": "flash_attn"}
FULL_SIZE: Mapping[str, Write] = {
    "llava-video": lambda folder, device: write_llava(folder, LLAVA_VIDEO_7B, device),
    "vila": lambda folder, device: write_vila(folder, VILA_3B, device),
}
TINY_SIZE: Mapping[str, Write] = {
    "llava-video": lambda folder, device: write_llava(folder, LLAVA_TINY, device),
    "vila": lambda folder, device: write_vila(folder, VILA_TINY, device),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds that the whole run may take."""

    seconds: float
    began_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Never below 0."""
        return max(0.0, self.began_s + self.seconds - time.monotonic())

    @property
    def reason(self) -> str:
        """Why something was not measured."""
        return f"the budget of {self.seconds:g} s was spent"


@dataclass(frozen=True, slots=True)
class Run:
    """Measures variants, each in a process of its own, so that none can hurt the next.

    Attributes:
        device: Where everything is computed.
        folder: Where checkpoints are written, each once.
    """

    device: torch.device
    folder: Path
    budget: Budget
    is_tiny: bool

    def rows(self, variant: Variant) -> Iterator[Row]:
        """What was measured of a variant, as it comes, or why nothing was."""
        if reason := self._obstacle(variant) or self._write_checkpoint(variant.model):
            yield Problem(variant.name, reason)
        else:
            yield from self._rows_of_child(variant)

    def _obstacle(self, variant: Variant) -> str:
        """What keeps a variant from being measured, if anything."""
        if not self.budget.left_s:
            return self.budget.reason
        modules = [MODULES.get(part) for part in (variant.weights, variant.attention)]
        missing = [name for name in modules if name and importlib.util.find_spec(name) is None]
        return f"{missing[0]} is not installed" if missing else ""

    def _write_checkpoint(self, model: str) -> str:
        """Write a model's checkpoint unless it is there; says what went wrong, if anything."""
        folder = self.folder / model
        if folder.exists():
            return ""
        try:
            (TINY_SIZE if self.is_tiny else FULL_SIZE)[model](folder, self.device)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it becomes a row
            shutil.rmtree(folder, ignore_errors=True)
            return f"the checkpoint was not written: {reason_of(exc)}"
        finally:
            free(self.device)
        return ""

    def _rows_of_child(self, variant: Variant) -> Iterator[Row]:
        """Rows as the child prints them, then why it ended, unless all is well."""
        path = str(self.folder / variant.model)
        command = [sys.executable, "-m", "bench.gpu", "--one", variant.name, path]
        command += ["--tiny"] if self.is_tiny else []
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child,
        ):
            timer = threading.Timer(self.budget.left_s, child.kill)
            timer.start()
            try:
                yield from filter(None, map(from_line, child.stdout or ()))
                if child.wait():
                    yield Problem(variant.name, self._end_of(child.returncode, errors))
            finally:
                timer.cancel()
                child.kill()

    def _end_of(self, returncode: int, errors: IO[str]) -> str:
        if not self.budget.left_s:
            return self.budget.reason
        errors.seek(0)
        last = (errors.read().strip().splitlines() or ["no reason given"])[-1]
        return f"the process ended with {returncode}: {last}"


def measure_all(run: Run, variants: Sequence[Variant], table: Path, command: str) -> None:
    """Every variant; the table is whole after each row."""
    ceilings = measure_ceilings(run.device)
    report = Report(command, describe(run.device), ceilings.bytes_per_s, ceilings.operations_per_s)
    table.parent.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        for row in run.rows(variant):
            print(row, flush=True)
            report.rows.append(row)
            partial = table.with_suffix(".partial")
            partial.write_text(report.markdown())
            partial.replace(table)


def measure_one(name: str, path: str, device: torch.device, *, is_tiny: bool) -> None:
    """One variant, its rows on standard output."""
    for row in measure(VARIANTS[name], path, device, TINY if is_tiny else FULL):
        print(to_line(row), flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, help=f"the table, {TABLE} or, if tiny, {TINY_TABLE}")
    parser.add_argument("--tiny", action="store_true", help="tiny checkpoints on the CPU")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--seconds-budget", type=float, default=BUDGET_S, metavar="N")
    parser.add_argument("--folder", type=Path, help="where to put checkpoints for the time being")
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "CHECKPOINT"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for, or one variant in this process."""
    options = parse(arguments)
    budget = Budget(options.seconds_budget)
    if not (options.tiny or torch.cuda.is_available()):
        sys.exit("a CUDA device is needed; --tiny does a dry run on the CPU")
    device = open_device("cpu" if options.tiny else "cuda")
    if options.one:
        name, path = options.one
        measure_one(name, path, device, is_tiny=options.tiny)
        return
    command = " ".join(["python -m bench.gpu", *arguments])
    table = options.out or (TINY_TABLE if options.tiny else TABLE)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        run = Run(device, Path(folder), budget, options.tiny)
        measure_all(run, [VARIANTS[name] for name in options.only], table, command)
    print(table.read_text())


if __name__ == "__main__":
    # A run that is told to end takes its child and its files with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1:])
