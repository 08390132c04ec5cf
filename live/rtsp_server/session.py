"""One client of the RTSP server, from its first request to its last. Belongs to one event loop."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from live.http_digest import DigestGuard
from live.rtsp_server.broadcast import Broadcast
from live.rtsp_server.h264_encoder import parameter_sets
from live.rtsp_server.messages import (
    METHODS,
    TRACK,
    BadRequest,
    Request,
    Transport,
    choose_transport,
    describe,
    parse_request,
    reply,
)
from live.rtsp_server.outlets import InterleavedOutlet, Outlet, RtpPlayer, open_udp
from live.rtsp_server.rtp import rtp_time_of
from live.seats import Seats

TIME_OUT_S = 60  # as clients are told
SILENCE_S = 90.0  # players send a sign of life every half or whole time-out
SEND_S = 30.0
MAX_HEAD_BYTES = 16_384
MAX_BODY_BYTES = 65_536
INTERLEAVED = b"$"

Reply = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What is the same for all clients of a server.

    Attributes:
        find: The broadcast of a path, if there is one.
        seats: Shared by all sessions.
        guard: Who may watch; ``None`` is everybody.
        transports: ``tcp`` and ``udp``, or one of them.
        silence_s: After so long without a request or a report, a client is gone.
    """

    find: Callable[[str], Broadcast | None]
    seats: Seats
    guard: DigestGuard | None
    transports: frozenset[str]
    silence_s: float


class RtspSession:
    """Reads requests and answers them; plays meanwhile."""

    def __init__(
        self,
        rules: SessionRules,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._rules = rules
        self._reader = reader
        self._writer = writer
        self._id = secrets.token_hex(8)
        self._peer = str(writer.get_extra_info("peername")[0])
        self._heard_s = time.monotonic()
        self._broadcast: Broadcast | None = None
        self._player: RtpPlayer | None = None
        self._joining: asyncio.Handle | None = None

    async def run(self) -> None:
        """Serve the client until it leaves, falls silent or misbehaves."""
        try:
            while (request := await self._next_request()) is not None:
                status, headers, body = await self._answer(request)
                cseq = re.sub(r"\D", "", request.headers.get("cseq", "0"))[:10]
                self._writer.write(reply(status, cseq, headers, body))
                async with asyncio.timeout(SEND_S):
                    await self._writer.drain()
                if request.method == "TEARDOWN":
                    break
        except (BadRequest, ValueError, OSError, EOFError, asyncio.LimitOverrunError):
            pass  # whoever speaks another protocol, or hung up
        finally:
            self._stop()
            self._hang_up()

    async def _next_request(self) -> Request | None:
        """The next request; ``None`` when the client has been silent for too long."""
        silence_s = self._rules.silence_s
        while True:
            try:
                async with asyncio.timeout(self._heard_s + silence_s - time.monotonic()):
                    first = await self._reader.readexactly(1)
                    self._heard_s = time.monotonic()
                    if first != INTERLEAVED:
                        return await self._read_request(first)
                    size = int.from_bytes((await self._reader.readexactly(3))[1:])
                    await self._reader.readexactly(size)
            except TimeoutError:
                if time.monotonic() - self._heard_s >= silence_s:
                    return None

    async def _read_request(self, first: bytes) -> Request:
        head = first + await self._reader.readuntil(b"\r\n\r\n")
        request = parse_request(head)
        if request.body_bytes > MAX_BODY_BYTES:
            raise BadRequest
        await self._reader.readexactly(request.body_bytes)
        return request

    async def _answer(self, request: Request) -> Reply:
        answers: dict[str, Callable[[Request], Awaitable[Reply]]] = {
            "DESCRIBE": self._describe,
            "SETUP": self._set_up,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "TEARDOWN": self._keep_alive,
            "GET_PARAMETER": self._keep_alive,
            "SET_PARAMETER": self._keep_alive,
        }
        if request.method == "OPTIONS":
            return 200, {"Public": METHODS}, b""
        answer = answers.get(request.method)
        if answer is None:
            return 405, {"Allow": METHODS}, b""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if request.headers.get("session", self._id).partition(";")[0] != self._id:
            return 454, {}, b""
        return await answer(request)

    def _refusal(self, request: Request) -> Reply | None:
        guard, now_s = self._rules.guard, time.monotonic()
        if guard is None:
            return None
        header = request.headers.get("authorization", "")
        path = urlsplit(request.url).path
        uris = {request.url, path, request.url.rstrip("/"), request.url.removesuffix(f"/{TRACK}")}
        uris |= {f"{uri}/" for uri in uris}
        if guard.allows(header, method=request.method, uris=uris, now_s=now_s):
            return None
        challenge = guard.challenge(now_s, is_stale=guard.is_stale(header, now_s))
        return 401, {"WWW-Authenticate": challenge}, b""

    async def _describe(self, request: Request) -> Reply:
        broadcast = self._rules.find(request.path)
        if broadcast is None:
            return 404, {}, b""
        if self._player is None:
            self._broadcast = broadcast  # a broadcast is there as long as somebody holds it
        source = broadcast.source
        sps, pps = await asyncio.to_thread(parameter_sets, source.size_wh, source.fps)
        body = describe(sps, pps, source.fps, is_ipv6=":" in self._peer)
        base = request.url.rstrip("/") + "/"
        return 200, {"Content-Type": "application/sdp", "Content-Base": base}, body

    async def _set_up(self, request: Request) -> Reply:
        broadcast = self._rules.find(request.path)
        if broadcast is None:
            return 404, {}, b""
        if self._player is not None:
            return 459, {}, b""  # there is one track
        header = request.headers.get("transport", "")
        transport = choose_transport(header, self._rules.transports)
        if transport is None:
            return 461, {}, b""
        if not self._rules.seats.take():
            return 503, {}, b""
        try:
            outlet, way = await self._open_outlet(transport)
        except BaseException:
            self._rules.seats.leave()
            raise
        self._broadcast, self._player = broadcast, RtpPlayer(outlet, self._hang_up)
        way += f";ssrc={self._player.sender.ssrc:08X}"
        return 200, {"Transport": way, "Session": f"{self._id};timeout={TIME_OUT_S}"}, b""

    async def _open_outlet(self, transport: Transport) -> tuple[Outlet, str]:
        """The way to the player, and its description."""
        channel, port = transport.channel, transport.port
        if channel is not None:
            way = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
            return InterleavedOutlet(self._writer, channel), way
        outlet = await open_udp(self._peer, port, self._hear)
        ours, theirs = outlet.ports, (port, port + 1)
        way = f"client_port={theirs[0]}-{theirs[1]};server_port={ours[0]}-{ours[1]}"
        return outlet, f"RTP/AVP;unicast;{way}"

    async def _play(self, request: Request) -> Reply:
        if self._player is None or self._broadcast is None:
            return 455, {}, b""
        sender = self._player.sender
        info = (
            f"url={request.url.rstrip('/')}/{TRACK};seq={sender.next_sequence}"
            f";rtptime={sender.rtp_time(rtp_time_of(time.monotonic()))}"
        )
        # The first packet must not overtake the reply.
        self._stop_playing(self._broadcast, self._player)
        loop = asyncio.get_running_loop()
        self._joining = loop.call_soon(self._broadcast.add, self._player)
        return 200, {"Session": self._id, "Range": "npt=now-", "RTP-Info": info}, b""

    async def _pause(self, request: Request) -> Reply:
        if self._player is None or self._broadcast is None:
            return 455, {}, b""
        self._stop_playing(self._broadcast, self._player)
        return 200, {"Session": self._id}, b""

    async def _keep_alive(self, request: Request) -> Reply:
        return 200, {"Session": self._id}, b""

    def _stop_playing(self, broadcast: Broadcast, player: RtpPlayer) -> None:
        if self._joining is not None:
            self._joining.cancel()  # a client may send all its requests at once
        broadcast.discard(player)

    def _hang_up(self) -> None:
        """Close the connection; what a client does not read must not keep it open."""
        transport = self._writer.transport
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()

    def _hear(self) -> None:
        self._heard_s = time.monotonic()

    def _stop(self) -> None:
        if self._player is not None and self._broadcast is not None:
            self._stop_playing(self._broadcast, self._player)
            self._player.outlet.close()
            self._rules.seats.leave()
        self._broadcast = self._player = None
