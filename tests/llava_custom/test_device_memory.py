"""What is told of a device's memory."""

import platform
import subprocess
import sys

import pytest
import torch

from llava_custom.device_memory import gpu_memory

GAPS = """
from pathlib import Path
from llava_custom.device_memory import trim_host_memory

def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

blocks = [b"x" * 50_000 for _ in range(4_000)]
kept = blocks[::20]
del blocks
before = resident_pages()
trim_host_memory()
print(before - resident_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others need no trimming")
def test_pages_between_blocks_in_use_are_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, check=True, text=True)
    assert int(told.stdout) > 30_000  # of about 46,000 pages of 4 KiB


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_told_of_one() -> None:
    assert gpu_memory() is None


@pytest.mark.gpu
def test_used_memory_is_a_part_of_what_is_reserved_and_that_of_all_there_is() -> None:
    kept = torch.zeros(1 << 20, device="cuda")
    memory = gpu_memory()
    assert memory is not None
    assert kept.nbytes <= memory.used_bytes <= memory.reserved_bytes <= memory.total_bytes
