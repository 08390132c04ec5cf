"""A real HTTP server on loopback that takes webhooks, refuses them, or keeps them waiting."""

import contextlib
import http.server
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request that was read to its end."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came in, and what is answered.

    Attributes:
        statuses: Of the next answers, by path; 200 when there are no more.
        held: Paths whose requests are not answered before ``let_go`` is set.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list)
    statuses: dict[str, deque[int]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    let_go: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def refuse(self, path: str, *statuses: int) -> None:
        self.statuses[path] = deque(statuses)

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    def wait_for(self, path: str, count: int) -> None:
        """Block until so many requests have come in there."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.at(path)) >= count)

    def take(self, request: Received) -> int:
        with self.arrived:
            self.received.append(request)
            self.arrived.notify_all()
        if request.path in self.held:
            self.let_go.wait()
        waiting = self.statuses.get(request.path)
        return waiting.popleft() if waiting else 200


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        with contextlib.suppress(OSError):  # the sender was killed
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): text for name, text in self.headers.items()}
            status = self.receiver.take(Received(self.path, headers, body))
            self.send_response(status)
            if status in (301, 302, 307, 308):
                self.send_header("location", self.receiver.url("/elsewhere"))
            self.send_header("content-length", "0")
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver while the block lasts; all its threads have ended after it."""
    receiver = Receiver()
    handler = type("BoundHandler", (_Handler,), {"receiver": receiver})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
