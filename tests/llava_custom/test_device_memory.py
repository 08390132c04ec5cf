"""What is told of a device's memory."""

import pytest
import torch

from llava_custom.device_memory import gpu_memory


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_told_of_one() -> None:
    assert gpu_memory() is None


@pytest.mark.gpu
def test_used_memory_is_a_part_of_what_is_reserved_and_that_of_all_there_is() -> None:
    kept = torch.zeros(1 << 20, device="cuda")
    memory = gpu_memory()
    assert memory is not None
    assert kept.nbytes <= memory.used_bytes <= memory.reserved_bytes <= memory.total_bytes
