"""Clients that ask, read the answer as it comes, and ask again; cheap enough to run beside servers.

Events are counted, not parsed: JSON of every token would cost a client more than a server.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATH = "/v1/chat/completions"
TEXT = re.compile(rb'"content": ?"[^"]')  # a delta that says something
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
RETRY_AFTER = re.compile(rb"\r\nretry-after: ?(\d+)", re.IGNORECASE)
END = re.compile(rb'"finish_reason": ?"')  # some servers send no [DONE] after it


@dataclass(slots=True)
class Answer:
    """One request, as its client saw it; moments on the clock of ``time.perf_counter``.

    Attributes:
        began_s: When it was sent.
        token_s: When each piece of text came.
        ended_s: When the answer was complete; ``None``: it never was.
        status: Of HTTP; 0 before the first byte.
        retry_after_s: What the server said, if anything.
    """

    began_s: float
    token_s: list[float] = field(default_factory=list)
    ended_s: float | None = None
    status: int = 0
    retry_after_s: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all of it came."""
        return self.status == 200 and self.ended_s is not None

    @property
    def ttft_s(self) -> float:
        """Seconds to the first text; infinite where none came."""
        return self.token_s[0] - self.began_s if self.token_s else float("inf")


class Reader(asyncio.Protocol):
    """One connection: sends a request, notes when pieces of the answer come."""

    def __init__(self, request: bytes, answer: Answer) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self._request = request
        self._answer = answer
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the events that are complete."""
        now_s, answer = time.perf_counter(), self._answer
        data = self._tail + data
        if not answer.status:
            self._read_head(data)
        events, _, self._tail = data.rpartition(b"\n\n")
        answer.token_s += [now_s] * len(TEXT.findall(events))
        if answer.ended_s is None and END.search(data):
            answer.ended_s = now_s

    def connection_lost(self, exc: Exception | None) -> None:
        """The answer is over."""
        if not self.closed.done():
            self.closed.set_result(None)

    def _read_head(self, data: bytes) -> None:
        if found := STATUS.match(data):
            self._answer.status = int(found[1])
        if found := RETRY_AFTER.search(data):
            self._answer.retry_after_s = int(found[1])


async def ask(url: str, body: bytes) -> Answer:
    """Send one request and read the answer to its end; cancelled, it hangs up."""
    address = urlsplit(url)
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    answer = Answer(time.perf_counter())
    loop = asyncio.get_running_loop()
    transport, reader = await loop.create_connection(
        lambda: Reader(head.encode() + body, answer), str(address.hostname), address.port or 80
    )
    try:
        await reader.closed
    finally:
        transport.abort()
    return answer


@dataclass(frozen=True, slots=True)
class Load:
    """What clients got.

    Attributes:
        answers: Complete ones and others; what was cut off at the end has none.
        num_cut: Requests that were still unanswered at the end.
        began_s: When the first was sent.
        seconds: Until the last complete answer.
    """

    answers: tuple[Answer, ...]
    num_cut: int
    began_s: float

    @property
    def complete(self) -> list[Answer]:
        """Those with an end."""
        return [answer for answer in self.answers if answer.is_complete]

    @property
    def seconds(self) -> float:
        """Until the last complete answer."""
        ends = [answer.ended_s or 0 for answer in self.complete]
        return max(ends, default=self.began_s) - self.began_s


async def press(
    url: str, bodies: Iterator[bytes], *, num_clients: int, seconds: float, drain_s: float
) -> Load:
    """Let clients ask one after the other.

    Args:
        url: The server.
        bodies: Of requests; as many as are needed are taken.
        num_clients: Each waits for its answer before it asks again.
        seconds: After which no client asks any more.
        drain_s: What begun answers have after that.
    """
    began_s = time.perf_counter()
    answers: list[Answer] = []

    async def ask_on() -> None:
        while time.perf_counter() - began_s < seconds:
            answers.append(await ask(url, next(bodies)))

    clients = [asyncio.create_task(ask_on()) for _ in range(num_clients)]
    done, pending = await asyncio.wait(clients, timeout=seconds + drain_s)
    for client in pending:
        client.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for client in done:
        client.result()
    return Load(tuple(answers), len(pending), began_s)
