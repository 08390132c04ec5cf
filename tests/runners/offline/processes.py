"""Processes that have the model libraries loaded when they begin, so that many can live and die.

They are forked by a server that has imported, and not used, what a run imports.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from runners import LLM, SamplingParams
from runners.batch import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["runners.transformers_runner", "runners.batch"])
POLL_S = 0.002


@contextmanager
def batch_process(arguments: Sequence[str], log: Path) -> Iterator[ForkServerProcess]:
    """``python -m runners.batch`` with these arguments; killed if it still runs in the end."""
    with _process(FORKS.Process(target=_batch, args=(arguments, log))) as process:
        yield process


@contextmanager
def endless_process(log: Path) -> Iterator[ForkServerProcess]:
    """Asks a hundred thousand prompts."""
    with _process(FORKS.Process(target=_ask_endlessly, args=(log,))) as process:
        yield process


@contextmanager
def _process(process: ForkServerProcess) -> Iterator[ForkServerProcess]:
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def _batch(arguments: Sequence[str], log: Path) -> None:
    _as_in_a_terminal(log)
    sys.exit(main(arguments))


def _ask_endlessly(log: Path) -> None:
    _as_in_a_terminal(log)
    with LLM() as llm:
        llm.generate(["Hello!"] * 100_000, SamplingParams(max_tokens=4))


def _as_in_a_terminal(log: Path) -> None:
    """Write to the log and listen to Ctrl-C, which a job in the background ignores."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
