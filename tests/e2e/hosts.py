"""A web server of somebody else, on loopback, that serves files and misbehaves on request."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.2"  # in the tests' VLM_MEDIA_ALLOW, unlike 127.0.0.1


class Misbehaving(SimpleHTTPRequestHandler):
    """Files from a folder; the paths below do what their names say."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        misdeed = getattr(self, f"send_{self.path.strip('/').replace('-', '_')}", None)
        if misdeed:
            with contextlib.suppress(ConnectionError):
                misdeed()
        else:
            super().do_GET()

    def send_to_loopback(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/secret.mp4")
        self.end_headers()

    def send_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            self.wfile.write(b"\0" * 65536)

    def send_broken(self) -> None:
        self.send_error(500)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def other_hosts(folder: Path) -> Iterator[str]:
    """Serve the folder; yield the base URL."""

    def handler(*args: object, **kwargs: object) -> Misbehaving:
        return Misbehaving(*args, directory=str(folder), **kwargs)  # type: ignore[arg-type]

    server = ThreadingHTTPServer((HOST, 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
