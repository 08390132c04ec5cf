"""The client's end of a connection: when it leaves, the work for it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive


@asynccontextmanager
async def while_client_stays(receive: Receive) -> AsyncIterator[None]:
    """Run the body of the ``with`` and cancel it when the client leaves; the body must be read.

    Raises:
        ClientDisconnect: The client left first.
    """
    try:
        async with asyncio.timeout(None) as leash:  # of no length until the client leaves
            watcher = asyncio.create_task(_end_on_leave(receive, leash))
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError as exc:
        if leash.expired():
            raise ClientDisconnect from exc
        raise


async def _end_on_leave(receive: Receive, leash: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    leash.reschedule(asyncio.get_running_loop().time())
