"""Waiting for a new live stream without holding a thread."""

import asyncio
from contextlib import suppress

from contracts.streams import LiveStreams, StreamChange, StreamState, StreamStatus

OPENING = (StreamState.CONNECTING,)
WAITING = (StreamState.CONNECTING, StreamState.LOST)  # a lost source is tried again


async def wait_first_frame(
    streams: LiveStreams, stream_id: str, *, timeout_s: float
) -> StreamStatus:
    """How a stream stands with its first frame, or when none will come, or after so long."""
    return await _wait_while(streams, stream_id, WAITING, timeout_s)


async def wait_settled(streams: LiveStreams, stream_id: str, *, timeout_s: float) -> StreamStatus:
    """How a stream stands after its first try to connect, or after so long."""
    return await _wait_while(streams, stream_id, OPENING, timeout_s)


async def _wait_while(
    streams: LiveStreams, stream_id: str, states: tuple[StreamState, ...], timeout_s: float
) -> StreamStatus:
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def on_change(change: StreamChange) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(news.set)

    unsubscribe = streams.subscribe(on_change)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while streams.status(stream_id).state in states:
                    await news.wait()
                    news.clear()
        return streams.status(stream_id)
    finally:
        unsubscribe()
