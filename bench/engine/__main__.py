"""``python -m bench.engine``: Lookout beside transformers serve, vLLM's CPU build and ``generate``.

One server at a time, the same random weights, on this machine; about ten minutes. The tables are
written into the document that ``--document`` names. ``python -m bench.peers install DIRECTORY``
installs peers; one that is not is a row that says so. ``--quick`` is a dry run: it shows that
everything works, no more.
"""

import argparse
import os
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.engine.checkpoint import write_checkpoint, write_vllm_copy
from bench.engine.growth import measure_growth
from bench.engine.overhead import measure_overhead
from bench.engine.run import Plan, measure_all
from bench.engine.servers import Checkpoint, servers
from bench.engine.table import Row, goals, tables
from contracts.documentation import with_block

FOLDER = Path("build/bench-engine")
PEERS = Path("/opt/peers")
BLOCK = "bench-engine"
QUICK = Plan(seconds=0.5, drain_s=30, clients=(1, 2), max_tokens=4)


def main() -> None:
    """Measure what was asked for and write it down."""
    options = parse()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    plain = write_checkpoint(folder / "llava")
    checkpoint = Checkpoint(plain, write_vllm_copy(folder / "llava-vllm", plain))
    chosen = [one for one in servers(options.peers) if one.name.split()[0] in options.only]
    plan = QUICK if options.quick else Plan()
    rows = []
    for row in measure_all(chosen, checkpoint, plan, folder):
        print(row.case.name, row.case.num_clients, row.server, *row.cells, sep=" | ", flush=True)
        rows.append(row)
    sizes = ((1, 2), (10,)) if options.quick else ()
    overhead = apart(measure_overhead, plain, *sizes[:1])
    text = report(rows, apart(measure_growth, plain, *sizes), overhead)
    (folder / "table.md").write_text(text + "\n")
    if options.document:
        document: Path = options.document
        document.write_text(with_block(document.read_text(), BLOCK, text))


def apart(measure: Callable[..., str], *arguments: object) -> str:
    """Measure in a process of its own.

    libgomp's threads wait for each other less patiently where others of theirs are in the process,
    and steps take half as long again.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *arguments).result()


def report(rows: list[Row], growth: str, overhead: str) -> str:
    """What stands between the document's markers."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores."
    step, turn = "A decode step of Lookout:", "What the engine's turn adds to it:"
    return "\n\n".join(
        [machine, goals(rows, "Lookout"), tables(rows), step, growth, turn, overhead]
    )


def parse() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    names = [one.name.split()[0] for one in servers(PEERS)]
    parser.add_argument("--peers", type=Path, default=PEERS, help="where they are installed")
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    parser.add_argument("--quick", action="store_true", help="a dry run")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for checkpoint and logs")
    parser.add_argument("--document", type=Path, help="whose tables are written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
