"""Waiting for a device, and how long work took on it. CUDA only notes what it is asked to do."""

import time
from collections.abc import Callable

import torch


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds of some work with everything that it asked for, on the host's clock."""
    wait_for(device)
    began_s = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began_s
