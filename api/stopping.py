"""How the service stops although there are answers without an end, and clients that take nothing.

A server waits for the answers that are on their way. Those that have no end of their own must hear
of the signal first. And a client that has stopped reading, such as a browser on a machine that
sleeps, would hold the server back for ever with what it has not taken.
"""

import asyncio
import signal
from collections.abc import Mapping
from types import FrameType

from uvicorn import Server

CUT_S = 3.0  # without a byte taken

Unsent = Mapping[asyncio.Transport, int]


def set_on_signals(stopping: asyncio.Event, *, cut_s: float = CUT_S) -> None:
    """Set an event of this loop on SIGTERM and SIGINT, then do what would have been done.

    Only from the main thread, which runs the loop.

    Args:
        stopping: Set first.
        cut_s: How long a client may take nothing of what is left for it.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        theirs = signal.getsignal(number)

        def stop(number: int, frame: FrameType | None, theirs: object = theirs) -> None:
            loop.call_soon_threadsafe(stopping.set)
            server = getattr(theirs, "__self__", None)
            if isinstance(server, Server):
                loop.call_soon_threadsafe(_cut_stalled, server, cut_s, {})
            if callable(theirs):
                theirs(number, frame)

        signal.signal(number, stop)


def _cut_stalled(server: Server, cut_s: float, before: Unsent) -> None:
    """Cut connections that are to close and have taken nothing since ``before``; look again."""
    transports = [connection.transport for connection in server.server_state.connections]
    unsent = {one: one.get_write_buffer_size() for one in transports if one and one.is_closing()}
    for transport, num_bytes in unsent.items():
        if before.get(transport) == num_bytes:
            transport.abort()
    asyncio.get_running_loop().call_later(cut_s, _cut_stalled, server, cut_s, unsent)
