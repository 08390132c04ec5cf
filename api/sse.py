"""Server-sent events: the frame of one, and a response made of many.

Knows nothing of what the events say.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.client import ended_by, while_client_stays, within

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def event(value: object, *, name: str | None = None) -> bytes:
    """One event that carries JSON, under a name or without."""
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {ENCODER.encode(value)}\n\n".encode()


class EventStream(Response):
    """A response of events; a comment breaks silences, and a client that leaves ends the work.

    Args:
        events: Whole events; closed when the response ends, however it ends.
        close: Called after that, to free what the events came from.
        keep_alive_s: Longest silence.
        headers: Besides those that every event stream has.
        patience_s: How long a client may take nothing.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        close: Callable[[], Awaitable[None]],
        keep_alive_s: float,
        headers: Mapping[str, str],
        patience_s: float,
    ) -> None:
        super().__init__(headers={**HEADERS, **headers})
        del self.headers["content-length"]
        self._events = events
        self._close = close
        self._keep_alive_s = keep_alive_s
        self._patience_s = patience_s
        self._touched_s = 0.0
        self._is_sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            async with while_client_stays(receive):
                await self._send_all(send)
        finally:
            await self._events.aclose()
            await self._close()

    async def _send_all(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        self._touch()
        async with ended_by(partial(self._watch, send), ClientDisconnect()):
            async for one in self._events:
                self._touch()
                self._is_sending = True
                await send(_body(one))
                self._is_sending = False
        async with within(self._patience_s):
            await send(_body(b"", is_last=True))

    def _touch(self) -> None:
        self._touched_s = asyncio.get_running_loop().time()

    async def _watch(self, send: Send) -> None:
        """Break silences until the client takes nothing any more.

        One task looks at the clock now and then; a timer for each event would cost as much as it.
        """
        with suppress(ClientDisconnect):
            while True:
                limit_s = self._patience_s if self._is_sending else self._keep_alive_s
                left_s = self._touched_s + limit_s - asyncio.get_running_loop().time()
                if left_s > 0:
                    await asyncio.sleep(min(left_s, self._patience_s))
                elif self._is_sending:
                    return
                else:
                    async with within(self._patience_s):
                        await send(_body(KEEP_ALIVE))
                    self._touch()


def _body(body: bytes, *, is_last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not is_last}
