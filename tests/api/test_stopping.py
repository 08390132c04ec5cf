"""Signals reach the answers that have no end of their own, and the server as before."""

import asyncio
import signal
import socket
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.stopping import set_on_signals


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What a server's own handler was told."""
    told: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda number, _: told.append(number)) for number in numbers]
    yield told
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_both_hear_of_it(heard: list[int], number: signal.Signals) -> None:
    stopping = asyncio.Event()
    set_on_signals(stopping)
    assert not stopping.is_set()
    signal.raise_signal(number)
    await stopping.wait()
    assert heard == [number]


async def test_a_client_that_takes_nothing_does_not_hold_the_server_back(
    heard: list[int],
) -> None:
    stopping, is_full = asyncio.Event(), asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not stopping.is_set():
            send_one = send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            try:
                await asyncio.wait_for(send_one, timeout=0.5)
            except TimeoutError:
                is_full.set()

    ours = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(endless, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve([ours]))
    with socket.create_connection(ours.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await is_full.wait()
        set_on_signals(stopping, cut_s=0.1)
        signal.raise_signal(signal.SIGTERM)
        await serving
    assert heard == [signal.SIGTERM]  # handed on when the server has ended
