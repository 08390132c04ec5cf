"""Runs a fork server: ``python -m media.start_server MODULE FD``.

Nothing is mended in children: threading, logging and random would run their own code in each, at
the price of a tenth of a small picture's decoding. A decoder has one thread, holds no lock when it
is forked, and draws nothing.
"""

import importlib
import os
import sys


def main(module: str, control_fd: int) -> None:
    """Import a server, the first import of anything that minds forks, and run it."""
    os.register_at_fork = _forget
    importlib.import_module(module).main(control_fd)


def _forget(**_: object) -> None:
    pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
