"""Real hosts on loopback that behave well, badly, or not at all."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator

Route = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by a table of routes, and remembers what was asked."""

    protocol_version = "HTTP/1.1"
    routes: dict[str, Route]
    requests: list[tuple[str, dict[str, str]]]
    stop: threading.Event

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client left
            self.routes.get(path, not_found)(self)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def respond(body: bytes, status: int = 200, **headers: str) -> Route:
    """A route that sends a whole body; underscores in header names mean dashes."""

    def route(handler: Handler) -> None:
        handler.send_response(status)
        lengths = {"Content_Length": str(len(body)), **headers}
        for name, value in lengths.items():
            if value:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return route


def redirect(location: str, status: int = 302) -> Route:
    return respond(b"", status, Location=location)


def not_found(handler: Handler) -> None:
    respond(b"no such thing", 404)(handler)


def endless(handler: Handler) -> None:
    """Send for ever, without saying how much."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.stop.is_set():
        handler.wfile.write(bytes(1 << 16))


def redirect_at_length(location: str) -> Route:
    """A route that redirects, and never ends what it says beside that."""

    def route(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.end_headers()
        while not handler.stop.is_set():
            handler.wfile.write(bytes(1 << 16))

    return route


def drip(handler: Handler) -> None:
    """Send a byte now and then, for ever."""
    respond(b"", Content_Length="1000000")(handler)
    while not handler.stop.wait(0.02):
        handler.wfile.write(b"x")


def drip_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.stop.wait(0.02):
        handler.wfile.write(b"x")


def say_nothing(handler: Handler) -> None:
    handler.stop.wait()


class Host:
    """A running server."""

    def __init__(self, routes: dict[str, Route], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._stop = threading.Event()
        fields = {"routes": routes, "requests": self.requests, "stop": self._stop}
        handler = type("BoundHandler", (Handler,), fields)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._scheme = "http"
        if context is not None:
            self._scheme = "https"
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def serving(routes: dict[str, Route], context: ssl.SSLContext | None = None) -> Iterator[Host]:
    """Run a host while the block lasts; all its threads have ended after it."""
    host = Host(routes, context)
    try:
        yield host
    finally:
        host.close()
