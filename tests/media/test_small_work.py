import threading

import pytest

from media.small_work import SMALL_BYTES, work_through


@pytest.mark.parametrize(
    ("num_bytes", "is_at_once"), [(0, True), (SMALL_BYTES, True), (SMALL_BYTES + 1, False)]
)
async def test_only_what_takes_long_is_done_in_a_thread(
    num_bytes: int, *, is_at_once: bool
) -> None:
    worker = await work_through(num_bytes, threading.current_thread)
    assert (worker is threading.current_thread()) == is_at_once


@pytest.mark.parametrize("num_bytes", [1, SMALL_BYTES + 1])
async def test_what_the_work_raises_comes_back(num_bytes: int) -> None:
    def fail() -> None:
        raise ValueError("no medium")

    with pytest.raises(ValueError, match="no medium"):
        await work_through(num_bytes, fail)
