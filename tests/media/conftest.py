"""The corpus of clips, and eyes on processes and descriptors."""

import contextlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from contracts.media import U8

SHARED = Path(__file__).resolve().parents[3] / "shared"


def load_clip_maker() -> ModuleType:
    name = "make_clips"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SHARED / "make_clips.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


MAKER = load_clip_maker()
KINDS: dict[str, str] = {name: expect for name, (_, expect, _) in MAKER.CLIPS.items()}


@dataclass(frozen=True)
class MadeClip:
    """A line of the corpus's manifest."""

    path: Path
    entry: dict[str, Any]

    @property
    def expect(self) -> str:
        return str(self.entry["expect"])

    def numbers(self, frames: list[U8]) -> list[int]:
        """The frame numbers that the pictures carry."""
        turns = (self.entry["rotation"] or 0) // 90
        return [int(MAKER.read_code(np.rot90(rgb, turns))) for rgb in frames]

    def number_at(self, time_s: float) -> int:
        """Which frame is on screen at a time."""
        times = self.entry["times_s"]
        if times is None:
            return int(time_s * self.entry["fps"] + 0.02)
        return max(i for i, at in enumerate(times) if at <= time_s + 1e-3)


Corpus = dict[str, MadeClip]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("clips")
    manifest = MAKER.build(folder, small=True, quiet=True)
    return {entry["name"]: MadeClip(folder / entry["file"], entry) for entry in manifest}


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children_of(parent: int) -> list[int]:
    """Processes that another one started and that have not been waited for."""
    found: list[int] = []
    for task in Path(f"/proc/{parent}/task").glob("*"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return sorted(found)
