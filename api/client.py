"""Reasons to give up on a client: it leaves, it takes nothing any more, or the service stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from contracts.errors import ShuttingDown

LEAVING = ("http.disconnect", "websocket.disconnect")

Happening = Callable[[], Awaitable[object]]


@asynccontextmanager
async def while_client_stays(receive: Receive) -> AsyncIterator[None]:
    """Run the body of the ``with`` and cancel it when the client leaves.

    The request's body must be read; what a WebSocket's client sends is dropped.

    Raises:
        ClientDisconnect: The client left first.
    """
    async with ended_by(partial(_leave, receive), ClientDisconnect()):
        yield


@asynccontextmanager
async def while_serving(stopping: asyncio.Event) -> AsyncIterator[None]:
    """Run the body of the ``with`` and cancel it when the service begins to stop.

    Raises:
        ShuttingDown: The service began to stop first.
    """
    async with ended_by(stopping.wait, ShuttingDown("the service is stopping")):
        yield


@asynccontextmanager
async def ended_by(happening: Happening, error: Exception) -> AsyncIterator[None]:
    """Cancel the body of the ``with`` as soon as something happens, and raise the error."""
    try:
        async with asyncio.timeout(None) as leash:  # of no length until then
            watcher = asyncio.create_task(_pull(leash, happening))
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError as exc:
        if leash.expired():
            raise error from exc
        raise


@asynccontextmanager
async def within(patience_s: float) -> AsyncIterator[None]:
    """Give the body of the ``with``, which sends something, so long.

    Raises:
        ClientDisconnect: The client took nothing: it is gone, though its connection is not.
    """
    try:
        async with asyncio.timeout(patience_s) as patience:
            yield
    except TimeoutError as exc:
        if patience.expired():
            raise ClientDisconnect from exc
        raise


async def _pull(leash: asyncio.Timeout, happening: Happening) -> None:
    await happening()
    leash.reschedule(asyncio.get_running_loop().time())


async def _leave(receive: Receive) -> None:
    while (await receive())["type"] not in LEAVING:
        pass
