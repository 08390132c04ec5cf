"""What must never end goes on after a fault, and says so."""

import asyncio

import pytest

from live.alerting.main_loops import kept_running


async def test_a_loop_that_failed_begins_again_and_the_log_has_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = 0
    goes_on = asyncio.Event()

    async def run() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise ZeroDivisionError("a fault of ours")
        goes_on.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(kept_running("looks", run, pause_s=0.0))
    await asyncio.wait_for(goes_on.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert begun == 2
    assert "looks failed and begins again (server_error)" in caplog.text
    assert "a fault of ours" in caplog.text
