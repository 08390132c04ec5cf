"""``python -m bench.peers install DIRECTORY``: the peers of ``make bench-engine``."""

import argparse
from pathlib import Path

from bench.peers.install import install

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("verb", choices=["install"])
parser.add_argument("directory", type=Path)
install(parser.parse_args().directory.expanduser().resolve())
