"""The memory of a device: what is free, what is in use, and what running out of it looks like.

Knows nothing of models. Devices that are not CUDA are taken for the host's memory.
"""

import ctypes
import gc
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from contracts.engine_stats import GpuMemory

T = TypeVar("T")

# What torch's host allocator, oneDNN and the CUDA libraries say in a plain RuntimeError.
ALLOCATION_FAILURES = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "could not create a primitive",  # oneDNN's only word for it: there is no room for its code
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
MEMORY_INFO = Path("/proc/meminfo")
OWN_MEMORY = Path("/proc/self/statm")


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether an exception means that an allocation failed, on the host or on a device."""
    if isinstance(exc, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(exc, RuntimeError) and any(said in str(exc) for said in ALLOCATION_FAILURES)


def attempt(step: Callable[[], T]) -> T | None:
    """Run a step; ``None`` when it ran out of memory.

    When this returns, the traceback is gone, and with it every tensor that the step held: only
    then can their memory be released.
    """
    try:
        return step()
    except (RuntimeError, MemoryError) as exc:
        if not is_out_of_memory(exc):
            raise
    return None


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more; slow, so only after running out."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def trim_host_memory() -> None:
    """Give pages back that lie free between blocks in use; milliseconds.

    Tensors of many sizes that come and go leave such gaps, and glibc keeps them. Other C libraries
    are left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def free_bytes(device: torch.device) -> int:
    """What could still be allocated on a device, as far as it can be told."""
    if device.type != "cuda":
        return _free_host_bytes()
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + unused


def unclaimed_bytes(device: torch.device) -> int:
    """What nobody holds on a device: ``free_bytes`` less what torch keeps to use again."""
    if device.type != "cuda":
        return _free_host_bytes()
    free: int = torch.cuda.mem_get_info(device)[0]
    return free


def allocated_bytes(device: torch.device) -> int:
    """What torch holds on a CUDA device."""
    return int(torch.cuda.memory_allocated(device))


def gpu_memory() -> GpuMemory | None:
    """How the memory of all CUDA devices stands; ``None`` where torch has not used any."""
    if not torch.cuda.is_initialized():
        return None
    devices = range(torch.cuda.device_count())
    return GpuMemory(
        used_bytes=sum(torch.cuda.memory_allocated(one) for one in devices),
        reserved_bytes=sum(torch.cuda.memory_reserved(one) for one in devices),
        total_bytes=sum(torch.cuda.get_device_properties(one).total_memory for one in devices),
    )


def _free_host_bytes() -> int:
    """Available memory, or what the process's own limit leaves of it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return _available_bytes()
    own_pages = int(OWN_MEMORY.read_text().split()[0]) if OWN_MEMORY.exists() else 0
    left = limit - own_pages * os.sysconf("SC_PAGE_SIZE")
    return max(0, min(left, _available_bytes()))


def _available_bytes() -> int:
    """Linux's own estimate; elsewhere all there is."""
    if MEMORY_INFO.exists():
        fields = dict(line.split(":") for line in MEMORY_INFO.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
