"""A small RTSP server: live pictures as H.264, for players, recorders and other programs.

One encoder for all who watch the same; RTP inside the connection or by UDP, TLS, Digest. Belongs to
one event loop. Knows nothing of where pictures come from.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from live.http_digest import DigestGuard
from live.rtsp_server.broadcast import Broadcast, PictureSource
from live.rtsp_server.session import MAX_HEAD_BYTES, SILENCE_S, RtspSession, SessionRules
from live.seats import Seats

REALM = "Lookout"
USERNAME = "lookout"
MAX_VIEWERS = 16
SPARE_CONNECTIONS = 16  # beyond the viewers: those that ask and leave


class RtspServer:
    """Serves whatever ``find`` knows by path, encoded only while somebody watches."""

    def __init__(
        self,
        find: Callable[[str], PictureSource | None],
        *,
        seats: Seats | None = None,
        passwords: Sequence[str] = (),
        username: str = USERNAME,
        transports: frozenset[str] = frozenset({"tcp", "udp"}),
        silence_s: float = SILENCE_S,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            find: The pictures of a path; the same object as long as somebody may watch it.
            seats: For those who watch; others may share them.
            passwords: Any of them lets in; without, nobody is asked.
            username: That goes with them.
            transports: ``tcp`` and ``udp``, or one of them.
            silence_s: After so long without a sign of life, a client is gone.
        """
        self._find = find
        self._seats = seats or Seats(MAX_VIEWERS)
        self._broadcasts: WeakValueDictionary[int, Broadcast] = WeakValueDictionary()
        self._sessions: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        guard = DigestGuard(REALM, username, tuple(passwords), secrets.token_bytes(16))
        self._rules = SessionRules(
            self._broadcast_of, self._seats, guard if passwords else None, transports, silence_s
        )

    async def start(
        self, host: str | None, port: int, *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen; ``None`` is every address, port 0 any that is free.

        Raises:
            OSError: The port is taken.
        """
        self._server = await asyncio.start_server(
            self._serve, host, port, ssl=tls, limit=MAX_HEAD_BYTES
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def num_viewers(self) -> int:
        """Players of all pictures, and who else shares the seats."""
        return self._seats.num_taken

    async def close(self) -> None:
        """Listen no more, and end every session."""
        if self._server is not None:
            self._server.close()
        for broadcast in [*self._broadcasts.values()]:
            await broadcast.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._sessions) >= self._seats.max_viewers + SPARE_CONNECTIONS:
            writer.close()
            return
        self._sessions.add(task)
        try:
            await RtspSession(self._rules, reader, writer).run()
        finally:
            self._sessions.discard(task)

    def _broadcast_of(self, path: str) -> Broadcast | None:
        """The broadcast of a path; paths that show the same share it."""
        source = self._find(path)
        if source is None:
            return None
        broadcast = self._broadcasts.get(id(source))  # not reused: a broadcast holds its source
        if broadcast is None:
            broadcast = self._broadcasts[id(source)] = Broadcast(source)
        return broadcast
