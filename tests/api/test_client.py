"""What happens when the client leaves."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from api.client import while_client_stays, while_serving
from contracts.errors import ShuttingDown


def receiving(*kinds: str) -> Receive:
    """Messages of these kinds, then silence."""
    left: Iterator[str] = iter(kinds)

    async def receive() -> Message:
        kind = next(left, None)
        if kind is None:
            await asyncio.Event().wait()
        return {"type": f"http.{kind}"}

    return receive


async def test_work_goes_on_while_the_client_stays() -> None:
    async with while_client_stays(receiving("request")):
        await asyncio.sleep(0.01)


async def test_work_ends_when_the_client_leaves_and_may_clean_up_in_peace() -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        async with while_client_stays(receiving("request", "disconnect")):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.set()

    with pytest.raises(ClientDisconnect):
        await work()
    assert cleaned.is_set()


async def test_errors_of_the_work_pass_as_they_are() -> None:
    for error in (ValueError("x"), TimeoutError("x")):
        with pytest.raises(type(error)) as caught:
            async with while_client_stays(receiving()):
                raise error
        assert caught.value is error


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        async with while_client_stays(receiving()):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_ends_when_the_service_begins_to_stop() -> None:
    stopping = asyncio.Event()

    async def work() -> None:
        async with while_serving(stopping):
            stopping.set()
            await asyncio.Event().wait()

    for _ in range(2):  # it ends at once where the service stops already
        with pytest.raises(ShuttingDown):
            await work()


async def test_a_time_out_of_the_work_itself_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with while_serving(asyncio.Event()):
            raise TimeoutError
