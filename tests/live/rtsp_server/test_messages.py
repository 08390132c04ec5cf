"""RTSP as text."""

import pytest

from live.rtsp_server.messages import (
    BadRequest,
    Transport,
    choose_transport,
    describe,
    parse_request,
    reply,
)

BOTH = frozenset({"tcp", "udp"})


def test_a_request_is_read() -> None:
    first = b"SETUP rtsp://cam:8554/live%20one/trackID=0 RTSP/1.0"
    request = parse_request(first + b"\r\nCSeq: 3\r\nContent-Length: 5\r\n\r\n")
    assert (request.method, request.path, request.body_bytes) == ("SETUP", "/live one", 5)
    assert request.headers["cseq"] == "3"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"PLAY\r\n\r\n",
        b"PLAY rtsp://cam/ RTSP/2.0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(head)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", ""])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    head = f"PLAY rtsp://cam/ RTSP/1.0\r\nContent-Length: {length}\r\n\r\n"
    with pytest.raises(BadRequest):
        _ = parse_request(head.encode()).body_bytes


def test_a_reply_is_written() -> None:
    text = reply(200, "7", {"Session": "a"}, b"body")
    assert text.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n")
    assert text.endswith(b"Session: a\r\nContent-Length: 4\r\n\r\nbody")


@pytest.mark.parametrize(
    ("header", "allowed", "chosen"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", BOTH, Transport(channel=0)),
        ("RTP/AVP/TCP;unicast;interleaved=4-5;mode=play", BOTH, Transport(channel=4)),
        ("RTP/AVP/TCP;unicast", BOTH, Transport(channel=0)),
        ("RTP/AVP;unicast;client_port=5000-5001", BOTH, Transport(port=5000)),
        ("RTP/AVP/UDP;unicast;client_port=5000-5001", BOTH, Transport(port=5000)),
        ("RTP/AVP;multicast,RTP/AVP/TCP;interleaved=2-3", BOTH, Transport(channel=2)),
        ("RTP/AVP/TCP;unicast;interleaved=0-1", frozenset({"udp"}), None),
        ("RTP/AVP;unicast;client_port=5000-5001", frozenset({"tcp"}), None),
        ("RTP/AVP;multicast;client_port=5000-5001", BOTH, None),
        ("RTP/AVP;unicast;client_port=53-54", BOTH, None),  # no help for whoever reflects
        ("RTP/AVP;unicast", BOTH, None),
        ("RTP/SAVP;unicast;client_port=5000-5001", BOTH, None),
        ("RTP/AVP/TCP;interleaved=255-256", BOTH, None),
        ("", BOTH, None),
    ],
)
def test_a_transport_is_chosen(
    header: str, allowed: frozenset[str], chosen: Transport | None
) -> None:
    assert choose_transport(header, allowed) == chosen


@pytest.mark.parametrize(("is_ipv6", "address"), [(False, "IP4 0.0.0.0"), (True, "IP6 ::")])
def test_a_description_tells_what_a_decoder_needs(is_ipv6: bool, address: str) -> None:
    text = describe(b"\x67\x42\xc0\x1fmore", b"\x68pps", 29.97, is_ipv6=is_ipv6).decode()
    assert f"c=IN {address}\r\n" in text
    assert "profile-level-id=42c01f" in text
    assert "a=framerate:29.97" in text
    assert text.endswith("a=control:trackID=0\r\n")
