"""The device under measurement: its clock, its memory, its ceilings, its name.

A CPU stands in for it in the dry run, where nobody counts memory.
"""

import gc
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise

import torch

from llava_custom.device_clock import wait_for

NUM_ROUNDS = 20
PACKAGES = ("torch", "transformers", "bitsandbytes", "flash-attn")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device does at most, measured: bytes read or written, operations, per second."""

    bytes_per_s: float
    operations_per_s: float


def open_device(name: str) -> torch.device:
    """The device, ready: what it takes to start it is in nobody's time."""
    device = torch.device(name)
    if device.type == "cuda":
        torch.cuda.init()
    torch.ones(1, device=device).add_(1)
    wait_for(device)
    return device


class Stopwatch:
    """Moments on the device's own clock: a mark waits for nothing, the laps wait for all."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[torch.cuda.Event | float] = []

    def mark(self) -> None:
        """The moment at which the work queued so far is done."""
        if self._device.type != "cuda":
            self._marks.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)

    def laps_s(self) -> list[float]:
        """Seconds between neighbouring marks."""
        wait_for(self._device)
        return [_between_s(began, ended) for began, ended in pairwise(self._marks)]


def _between_s(began: torch.cuda.Event | float, ended: torch.cuda.Event | float) -> float:
    if isinstance(began, float) or isinstance(ended, float):
        assert isinstance(began, float)  # all marks are of one device
        assert isinstance(ended, float)
        return ended - began
    milliseconds: float = began.elapsed_time(ended)
    return milliseconds / 1000


@dataclass(slots=True)
class Memory:
    """Bytes of tensors on the device, ``None`` on a CPU: at the end of a stretch and at most."""

    used_bytes: int | None = None
    peak_bytes: int | None = None


@contextmanager
def memory_of(device: torch.device) -> Iterator[Memory]:
    """Count what a stretch of work takes; filled in at its end, also when it fails."""
    memory = Memory()
    free(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        yield memory
    finally:
        if device.type == "cuda":
            memory.used_bytes = torch.cuda.memory_allocated(device)
            memory.peak_bytes = torch.cuda.max_memory_allocated(device)


def free(device: torch.device) -> None:
    """Give back what nobody holds, so that one case starts like the other."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def measure_ceilings(device: torch.device) -> Ceilings:
    """Copy a large buffer and multiply large matrices of random numbers; medians of 20 rounds."""
    is_large = device.type == "cuda"
    ceilings = Ceilings(
        bytes_per_s=_copied_per_s(device, (4 << 30) if is_large else (8 << 20)),
        operations_per_s=_multiplied_per_s(device, 8192 if is_large else 256),
    )
    free(device)
    return ceilings


def _copied_per_s(device: torch.device, size_bytes: int) -> float:
    """Bytes read and written by a copy of so large a buffer."""
    source = torch.randint(255, (size_bytes,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size_bytes / _median_round_s(device, lambda: target.copy_(source))


def _multiplied_per_s(device: torch.device, side: int) -> float:
    """Operations of a product of two square matrices in bfloat16; an addition counts as one."""
    left, right = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    return 2 * side**3 / _median_round_s(device, lambda: left @ right)


def _median_round_s(device: torch.device, work: Callable[[], object]) -> float:
    for _ in range(3):
        work()
    stopwatch = Stopwatch(device)
    stopwatch.mark()
    for _ in range(NUM_ROUNDS):
        work()
        stopwatch.mark()
    return statistics.median(stopwatch.laps_s())


def describe(device: torch.device) -> list[str]:
    """The hardware and the software, a line each."""
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    software = f"Python {platform.python_version()}, {packages}"
    if device.type != "cuda":
        return [f"CPU ({platform.machine()}), {torch.get_num_threads()} threads", software]
    properties = torch.cuda.get_device_properties(device)
    hardware = f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB"
    return [f"{hardware}, driver {_driver()}, CUDA {torch.version.cuda}", software]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return ended.stdout.splitlines()[0].strip()
