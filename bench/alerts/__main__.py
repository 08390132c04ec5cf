"""``python -m bench.alerts``: alerts against the truth, and what they cost.

The whole service with the demo model: ``accuracy`` counts right and false events of the demo camera
and how late they are told, ``costs`` measures rules and streams. A quarter of an hour. The tables
are written into the document that ``--document`` names.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from bench.alerts import accuracy, costs
from contracts.documentation import with_block

BLOCK = "bench-alerts"


def report(minutes: float, seed: int, seconds: float) -> Iterator[str]:
    """What was asked for, as lines of markdown."""
    if minutes:
        yield from accuracy.report(seed, minutes)
    if minutes and seconds:
        yield ""
    if seconds:
        yield from costs.report(seconds)


def main() -> None:
    """Measure, print the tables and write them down."""
    options = parse()
    lines = []
    for line in report(options.minutes, options.seed, options.seconds):
        print(line, flush=True)
        lines.append(line)
    if options.document:
        document: Path = options.document
        document.write_text(with_block(document.read_text(), BLOCK, "\n".join(lines)))


def parse() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m bench.alerts", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of the camera; 0: only costs")
    parser.add_argument("--seed", type=int, default=7, help="of the camera's play")
    parser.add_argument("--seconds", type=float, default=8, help="of each cost; 0: no costs")
    parser.add_argument("--document", type=Path, help="whose tables are written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
