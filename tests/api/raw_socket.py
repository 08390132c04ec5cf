"""A WebSocket client that speaks ASGI itself, in the event loop of its test."""

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message, Scope


class RawSocket:
    """One WebSocket; so many of the app's messages may wait to be read, 0 is any number."""

    def __init__(self, app: ASGIApp, path: str, query: str = "", *, room: int = 0) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue(room)
        self._to_app.put_nowait({"type": "websocket.connect"})
        scope: Scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [],
            "client": ("test", 1),
            "server": ("test", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        self.run = asyncio.create_task(self._run(app, scope))

    async def next(self) -> Message:
        """The next message of the app."""
        return await self._from_app.get()

    async def json(self) -> dict[str, Any]:
        """The next text of the app."""
        message = await self.next()
        assert message["type"] == "websocket.send", message
        value: dict[str, Any] = json.loads(message["text"])
        return value

    def say(self, text: str) -> None:
        """Send a text."""
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def leave(self) -> None:
        """Close from this side, and wait until the app has done."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.run

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._to_app.get, self._from_app.put)
