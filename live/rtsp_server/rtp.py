"""H.264 in RTP packets (RFC 3550, RFC 6184), and the sender's reports beside them. Pure."""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from live.rtsp_server.h264_encoder import RTP_HZ, SEI, AccessUnit

PAYLOAD_TYPE = 96
MAX_PAYLOAD_BYTES = 1400  # fits into an Ethernet frame with all headers
NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
VERSION = 0x80
SENDER_REPORT = 200
FRAGMENT = 28  # FU-A


@dataclass(slots=True)
class RtpSender:
    """Numbers, times and counts of one player's packets; they begin at random, RFC 3550 5.1."""

    ssrc: int = field(default_factory=lambda: random.getrandbits(32))
    _sequence: int = field(default_factory=lambda: random.getrandbits(16))
    _time_offset: int = field(default_factory=lambda: random.getrandbits(32))
    _num_packets: int = 0
    _num_bytes: int = 0

    @property
    def next_sequence(self) -> int:
        """Number of the next packet."""
        return self._sequence

    def rtp_time(self, time: int) -> int:
        """A time of the encoder's as the player sees it."""
        return (time + self._time_offset) & 0xFFFFFFFF

    def packets(self, unit: AccessUnit) -> list[bytes]:
        """One coded picture, the last packet marked."""
        payloads = [part for nal in unit.nals if nal[0] & 31 != SEI for part in _payloads(nal)]
        return [
            self._packet(payload, unit.time, is_last=index == len(payloads) - 1)
            for index, payload in enumerate(payloads)
        ]

    def report(self, time: int, unix_s: float) -> bytes:
        """What the encoder's time is in the world, and how much was sent."""
        seconds = int(unix_s)
        return struct.pack(
            "!BBHIIIIII",
            VERSION,
            SENDER_REPORT,
            6,  # length in words, less one
            self.ssrc,
            (seconds + NTP_EPOCH_S) & 0xFFFFFFFF,
            int((unix_s - seconds) * (1 << 32)) & 0xFFFFFFFF,
            self.rtp_time(time),
            self._num_packets & 0xFFFFFFFF,
            self._num_bytes & 0xFFFFFFFF,
        )

    def _packet(self, payload: bytes, time: int, *, is_last: bool) -> bytes:
        kind = PAYLOAD_TYPE | (0x80 if is_last else 0)
        head = struct.pack("!BBHII", VERSION, kind, self._sequence, self.rtp_time(time), self.ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._num_packets += 1
        self._num_bytes += len(payload)
        return head + payload


def _payloads(nal: bytes) -> Iterator[bytes]:
    """A NAL unit whole, or in fragments (RFC 6184 5.8)."""
    if len(nal) <= MAX_PAYLOAD_BYTES:
        yield nal
        return
    indicator, kind, size = (nal[0] & 0xE0) | FRAGMENT, nal[0] & 31, MAX_PAYLOAD_BYTES - 2
    for start in range(1, len(nal), size):
        first, last = start == 1, start + size >= len(nal)
        header = kind | (0x80 if first else 0) | (0x40 if last else 0)
        yield bytes((indicator, header)) + nal[start : start + size]


def rtp_time_of(monotonic_s: float) -> int:
    """Seconds in units of the RTP clock."""
    return int(monotonic_s * RTP_HZ)
