"""A client that speaks ASGI itself, so that it can send slowly, stop in the middle and leave."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Scope


@dataclass
class RawClient:
    """One request; ``chunks`` is the body, and after it the client stays until it leaves."""

    app: ASGIApp
    path: str
    chunks: Iterable[bytes] = ()
    headers: dict[str, str] = field(default_factory=dict)
    is_whole: bool = True
    method: str = "POST"
    query: str = ""
    sent: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chunks = list(self.chunks)
        self._left = asyncio.Event()
        self.is_read = asyncio.Event()  # all that there is of the body
        self._news = asyncio.Event()

    async def run(self) -> None:
        headers = [(k.encode(), v.encode()) for k, v in self.headers.items()]
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("test", 1),
            "server": ("test", 80),
        }
        await self.app(scope, self._receive, self._send)

    def leave(self) -> None:
        self._left.set()

    async def until(self, text: bytes, *, count: int = 1) -> None:
        """Wait until the answer holds the text so many times."""
        while self.body.count(text) < count:
            await self._news.wait()
            self._news.clear()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def got_only_499(self) -> bool:
        """Whether all that was sent is the empty answer that nobody reads."""
        return self.status == 499 and self.body == b""

    @property
    def num_unread(self) -> int:
        return len(self._chunks)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    async def _receive(self) -> Message:
        if self._chunks:
            chunk = self._chunks.pop(0)
            more = bool(self._chunks) or not self.is_whole
            return {"type": "http.request", "body": chunk, "more_body": more}
        self.is_read.set()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._news.set()


class Stalled(RawClient):
    """A client that takes the beginning of an answer, and then nothing, but stays."""

    async def _send(self, message: Message) -> None:
        if len(self.sent) >= 2:
            await asyncio.Event().wait()
        await super()._send(message)
