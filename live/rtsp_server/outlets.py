"""Ways from the server to one player: inside its RTSP connection, or by UDP.

Belong to one event loop. A player that reads too slowly misses pictures up to the next key frame.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from live.rtsp_server.h264_encoder import AccessUnit
from live.rtsp_server.rtp import RtpSender, rtp_time_of

MAX_UNSENT_BYTES = 1 << 20
REPORT_S = 5.0
PORT_TRIES = 20


class Outlet(Protocol):
    """Where a player's packets go."""

    def is_ready(self) -> bool:
        """Whether it takes more now."""
        ...

    def send(self, packets: list[bytes]) -> None:
        """Send RTP packets."""
        ...

    def send_report(self, report: bytes) -> None:
        """Send an RTCP packet."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


@dataclass(slots=True)
class InterleavedOutlet:
    """Packets between the replies of the RTSP connection (RFC 2326 10.12)."""

    writer: asyncio.StreamWriter
    channel: int

    def is_ready(self) -> bool:
        """Whether not too much waits to be sent."""
        transport = self.writer.transport
        return not transport.is_closing() and transport.get_write_buffer_size() < MAX_UNSENT_BYTES

    def send(self, packets: list[bytes]) -> None:
        """Send RTP packets."""
        self.writer.write(b"".join(_framed(self.channel, packet) for packet in packets))

    def send_report(self, report: bytes) -> None:
        """Send an RTCP packet."""
        self.writer.write(_framed(self.channel + 1, report))

    def close(self) -> None:
        """Nothing: the connection belongs to the session."""


def _framed(channel: int, packet: bytes) -> bytes:
    return b"$" + struct.pack("!BH", channel, len(packet)) + packet


@dataclass(slots=True)
class UdpOutlet:
    """Packets from a pair of ports here to a pair of ports of whoever asked, and nobody else."""

    rtp: asyncio.DatagramTransport
    rtcp: asyncio.DatagramTransport

    @property
    def ports(self) -> tuple[int, int]:
        """Ours."""
        rtp, rtcp = (one.get_extra_info("sockname") for one in (self.rtp, self.rtcp))
        return int(rtp[1]), int(rtcp[1])

    def is_ready(self) -> bool:
        """Always: what cannot be sent is lost, as is the way of UDP."""
        return not self.rtp.is_closing()

    def send(self, packets: list[bytes]) -> None:
        """Send RTP packets."""
        for packet in packets:
            self.rtp.sendto(packet)

    def send_report(self, report: bytes) -> None:
        """Send an RTCP packet."""
        self.rtcp.sendto(report)

    def close(self) -> None:
        """Close both ports."""
        self.rtp.close()
        self.rtcp.close()


class _Listener(asyncio.DatagramProtocol):
    """Hears the reports of a player, which show that it is alive."""

    def __init__(self, on_heard: Callable[[], None]) -> None:
        self._on_heard = on_heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._on_heard()

    def error_received(self, exc: Exception) -> None:
        """Nothing: a player that is gone falls silent, and is dropped for that."""


async def open_udp(peer: str, port: int, on_heard: Callable[[], None]) -> UdpOutlet:
    """Open two neighbouring ports, the first even, towards a player.

    Raises:
        OSError: There are none.
    """
    loop = asyncio.get_running_loop()
    family = "::" if ":" in peer else "0.0.0.0"

    async def bind(local: int, remote: int) -> asyncio.DatagramTransport:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Listener(on_heard), local_addr=(family, local), remote_addr=(peer, remote)
        )
        return transport

    for _ in range(PORT_TRIES):
        rtp = await bind(0, port)
        local = rtp.get_extra_info("sockname")[1]
        try:
            if local % 2 == 0:
                return UdpOutlet(rtp, await bind(local + 1, port + 1))
        except OSError:
            pass
        rtp.close()
    raise OSError("no pair of ports is free")


class RtpPlayer:
    """One player of a broadcast."""

    def __init__(self, outlet: Outlet, on_end: Callable[[], None]) -> None:
        self.sender = RtpSender()
        self.outlet = outlet
        self._on_end = on_end
        self._is_in_step = False  # whether it has all since a key frame
        self._reported_s = float("-inf")

    def send(self, unit: AccessUnit) -> None:
        """Pass a picture on, unless the player cannot use it or does not keep up."""
        if not self.outlet.is_ready():
            self._is_in_step = False
        if not self._is_in_step and not (unit.is_key and self.outlet.is_ready()):
            return
        self._is_in_step = True
        self._report()
        self.outlet.send(self.sender.packets(unit))

    def end(self) -> None:
        """There is nothing more to see."""
        self._on_end()

    def _report(self) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            self.outlet.send_report(self.sender.report(rtp_time_of(now_s), time.time()))
