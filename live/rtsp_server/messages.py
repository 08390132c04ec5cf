"""RTSP 1.0 requests and replies as text (RFC 2326), and the SDP of one video. Pure."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from live.rtsp_server.rtp import PAYLOAD_TYPE

TRACK = "trackID=0"
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    503: "Service Unavailable",
}


class BadRequest(Exception):
    """What came is no RTSP request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request's first line and headers, names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """What is asked for, without the track."""
        path = unquote(urlsplit(self.url).path)
        return path.rstrip("/").removesuffix(f"/{TRACK}").rstrip("/")

    @property
    def body_bytes(self) -> int:
        """Length of the body that follows."""
        text = self.headers.get("content-length", "0")
        if not text.isdecimal():
            raise BadRequest
        return int(text)


@dataclass(frozen=True, slots=True)
class Transport:
    """How a player wants its packets.

    Attributes:
        channel: Within the connection; ``None`` for UDP.
        port: Of the player, for UDP.
    """

    channel: int | None = None
    port: int = 0


def parse_request(head: bytes) -> Request:
    """Read a request up to its empty line.

    Raises:
        BadRequest: It is none.
    """
    first, *rest = head.decode("latin-1").strip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("RTSP/1."):
        raise BadRequest
    headers = (line.partition(":") for line in rest)
    return Request(words[0], words[1], {name.strip().lower(): v.strip() for name, _, v in headers})


def reply(status: int, cseq: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A whole reply."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {cseq}", "Server: Lookout"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def choose_transport(header: str, allowed: frozenset[str]) -> Transport | None:
    """The first way of sending in a ``Transport`` header that is known and allowed."""
    for offer in header.split(","):
        fields = [field.strip() for field in offer.split(";")]
        profile = fields[0].upper()
        if profile == "RTP/AVP/TCP" and "tcp" in allowed:
            match = re.search(r"interleaved=(\d{1,3})", offer)
            channel = int(match[1]) if match else 0
            if channel <= 254:
                return Transport(channel=channel)
        if profile in ("RTP/AVP", "RTP/AVP/UDP") and "udp" in allowed and "multicast" not in fields:
            match = re.search(r"client_port=(\d{1,5})", offer)
            if match and 1024 <= int(match[1]) <= 65534:
                return Transport(port=int(match[1]))
    return None


def describe(sps: bytes, pps: bytes, fps: float, *, is_ipv6: bool) -> bytes:
    """The SDP of one H.264 video (RFC 6184 8.2)."""
    family = "IN IP6 ::" if is_ipv6 else "IN IP4 0.0.0.0"
    sets = ",".join(base64.b64encode(one).decode() for one in (sps, pps))
    lines = [
        "v=0",
        f"o=- 0 0 {family}",
        "s=Lookout",
        f"c={family}",
        "t=0 0",
        "a=control:*",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={sps[1:4].hex()};"
        f"sprop-parameter-sets={sets}",
        f"a=framerate:{fps:g}",
        f"a=control:{TRACK}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()
