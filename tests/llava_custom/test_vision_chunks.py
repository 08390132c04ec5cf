from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from contracts.errors import OutOfMemory
from llava_custom.device_memory import attempt, free_bytes, is_out_of_memory
from llava_custom.vision_chunks import in_chunks

CPU = torch.device("cpu")
TOO_MUCH = 1 << 60  # bytes; no allocator has them


def allocate_too_much() -> Tensor:
    return torch.empty(TOO_MUCH, dtype=torch.uint8)


class Tower:
    """Doubles numbers, and really runs out of memory above a number of them."""

    def __init__(self, room_for: int) -> None:
        self.chunks: list[list[int]] = []
        self._room_for = room_for

    def __call__(self, numbers: list[int]) -> Tensor:
        self.chunks.append(numbers)
        if len(numbers) > self._room_for:
            return allocate_too_much()
        return torch.tensor(numbers) * 2


def features(tower: Tower, count: int) -> list[int]:
    chunks = in_chunks(range(count), tower, chunk_size=4, device=CPU)
    values: list[int] = torch.cat(list(chunks)).tolist()
    return values


@pytest.mark.parametrize("room_for", [2, 3, 4])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_each_picture_is_computed_once_and_in_order(room_for: int, count: int) -> None:
    assert features(Tower(room_for), count) == [2 * number for number in range(count)]


def test_a_chunk_that_does_not_fit_is_tried_in_halves() -> None:
    tower = Tower(room_for=2)
    features(tower, 5)
    assert tower.chunks == [[0, 1, 2, 3], [0, 1], [2, 3], [4]]


def test_half_of_a_chunk_is_half_of_what_was_in_it() -> None:
    tower = Tower(room_for=1)
    features(tower, 3)
    assert tower.chunks == [[0, 1, 2], [0], [1], [2]]


def test_what_does_not_fit_in_halves_is_refused_with_what_would() -> None:
    with pytest.raises(OutOfMemory, match=r"2 pictures at a time.*VLM_VISION_CHUNK=1") as caught:
        features(Tower(room_for=1), 4)
    assert (caught.value.status, caught.value.code) == (503, "out_of_memory")
    assert not caught.value.is_retryable


def test_one_picture_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OutOfMemory, match="one picture"):
        features(Tower(room_for=0), 1)


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    def fail(numbers: list[int]) -> Tensor:
        raise RuntimeError("shape")

    with pytest.raises(RuntimeError, match="shape"):
        list(in_chunks(range(2), fail, chunk_size=2, device=CPU))


@pytest.mark.parametrize(
    "step", [allocate_too_much, lambda: bytearray(TOO_MUCH)], ids=["torch", "python"]
)
def test_real_failures_of_allocators_are_known(step: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        step()
    assert is_out_of_memory(caught.value)
    assert attempt(step) is None


def test_cuda_s_failures_are_known() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling …"))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


def test_free_memory_is_some_and_not_all_there_is() -> None:
    assert 1 << 20 < free_bytes(CPU) < 1 << 50
