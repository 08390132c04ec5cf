"""Pictures through the vision tower, a bounded number at a time.

Knows nothing of towers. A chunk that runs out of memory is tried once more at half its size.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import torch

from contracts.errors import OutOfMemory
from llava_custom.device_memory import attempt, release

Picture = TypeVar("Picture")
Features = TypeVar("Features")


class Stopped(Exception):
    """The caller of ``encode`` asked it to stop; nothing was returned."""


def never() -> bool:
    """Do not stop."""
    return False


def in_chunks(
    pictures: Iterable[Picture],
    compute: Callable[[list[Picture]], Features],
    *,
    chunk_size: int,
    device: torch.device,
) -> Iterator[Features]:
    """Compute features chunk by chunk, each picture once and in order.

    Args:
        pictures: Read as they are needed.
        compute: Features of some pictures, on the device.
        chunk_size: Pictures at a time; half as many after running out of memory once.
        device: Where memory is released before the second try.

    Raises:
        OutOfMemory: Half as many pictures were still too many.
    """
    pending = iter(pictures)
    has_halved = False
    while chunk := list(islice(pending, chunk_size)):
        features = attempt(partial(compute, chunk))
        if features is not None:
            yield features
            continue
        if has_halved:
            raise _too_many(len(chunk))
        release(device)
        has_halved, chunk_size = True, max(1, len(chunk) // 2)
        pending = chain(chunk, pending)


def _too_many(num_pictures: int) -> OutOfMemory:
    if num_pictures == 1:
        return OutOfMemory("the device has no memory to look at one picture; send smaller ones")
    return OutOfMemory(
        f"the device has no memory to look at {num_pictures} pictures at a time; send fewer, or "
        f"serve with VLM_VISION_CHUNK={num_pictures // 2}"
    )
