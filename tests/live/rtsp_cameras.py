"""RTSP servers in a thread of the test, with numbered pictures."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from contracts.media import U8
from live.rtsp_server.broadcast import PictureSource
from live.rtsp_server.server import RtspServer
from live.rtsp_server.session import SILENCE_S
from live.seats import Seats
from tests.live.pictures import numbered


class NumberedPictures:
    """A camera that counts its pictures."""

    def __init__(self, size_wh: tuple[int, int] = (128, 96), fps: float = 30) -> None:
        self.size_wh = size_wh
        self.fps = fps
        self.num_drawn = 0
        self.num_watched = 0  # now
        self.is_over = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        self.num_watched += 1
        try:
            yield
        finally:
            self.num_watched -= 1

    def picture(self) -> U8:
        if self.is_over:
            raise LookupError
        self.num_drawn += 1
        return numbered(self.num_drawn, self.size_wh)


class RtspCamera:
    """A running server."""

    def __init__(
        self, server: RtspServer, host: str, port: int, tls: ssl.SSLContext | None
    ) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.call(server.start(host, port, tls=tls))
        self.port = server.port
        self._host = f"[{host}]" if ":" in host else host

    def call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def url(self, path: str = "/live", *, login: str = "", scheme: str = "rtsp") -> str:
        return f"{scheme}://{login}{self._host}:{self.port}{path}"

    def close(self) -> None:
        self.call(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._loop.close()


@contextmanager
def rtsp_camera(
    pictures: PictureSource | None = None,
    *,
    passwords: tuple[str, ...] = (),
    transports: frozenset[str] = frozenset({"tcp", "udp"}),
    seats: Seats | None = None,
    silence_s: float = SILENCE_S,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[RtspCamera]:
    """Serve pictures at /live and /same while the block lasts; nothing of it is left after it."""
    source = pictures or NumberedPictures()
    server = RtspServer(
        lambda path: source if path in ("/live", "/same") else None,
        passwords=passwords,
        transports=transports,
        seats=seats,
        silence_s=silence_s,
    )
    camera = RtspCamera(server, host, port, tls)
    try:
        yield camera
    finally:
        camera.close()
