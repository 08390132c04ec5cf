"""H.264 in RTP packets."""

import struct
from itertools import pairwise

from live.rtsp_server.h264_encoder import AccessUnit, H264Encoder, nals_of, parameter_sets
from live.rtsp_server.rtp import MAX_PAYLOAD_BYTES, RtpSender
from tests.live.pictures import numbered


def payloads(packets: list[bytes]) -> list[bytes]:
    return [packet[12:] for packet in packets]


def test_small_units_go_whole_and_the_last_packet_is_marked() -> None:
    unit = AccessUnit((b"\x67sps", b"\x68pps", b"\x65picture"), 90_000, True)
    packets = RtpSender().packets(unit)
    assert payloads(packets) == list(unit.nals)
    assert [packet[1] >> 7 for packet in packets] == [0, 0, 1]
    assert {packet[1] & 0x7F for packet in packets} == {96}


def test_large_units_go_in_fragments_that_make_the_whole() -> None:
    nal = b"\x65" + bytes(range(256)) * 20
    parts = payloads(RtpSender().packets(AccessUnit((nal,), 0, True)))
    assert len(parts) == 4
    assert max(map(len, parts)) <= MAX_PAYLOAD_BYTES
    assert [part[1] & 0xC0 for part in parts] == [0x80, 0, 0, 0x40]
    assert all(part[0] == 0x60 | 28 and part[1] & 31 == 5 for part in parts)
    assert b"\x65" + b"".join(part[2:] for part in parts) == nal


def test_what_decoders_do_not_need_is_left_out() -> None:
    assert payloads(RtpSender().packets(AccessUnit((b"\x06sei", b"\x41p"), 0, False))) == [b"\x41p"]


def test_numbers_and_times_go_on() -> None:
    sender = RtpSender()
    first = sender.next_sequence
    unit = AccessUnit((b"\x41p",), 0, False)
    heads = []
    for index in range(70_000):
        (packet,) = sender.packets(AccessUnit(unit.nals, index * 3000, False))
        heads.append(struct.unpack("!BBHII", packet[:12]))
    assert [head[2] for head in heads] == [(first + i) % 65_536 for i in range(70_000)]
    steps = {(b[3] - a[3]) % (1 << 32) for a, b in pairwise(heads)}
    assert steps == {3000}
    assert {head[4] for head in heads} == {sender.ssrc}


def test_a_report_relates_the_times() -> None:
    sender = RtpSender()
    sender.packets(AccessUnit((b"\x41abc", b"\x41de"), 0, False))
    report = struct.unpack("!BBHIIIIII", sender.report(180_000, 1_700_000_000.25))
    assert report[:4] == (0x80, 200, 6, sender.ssrc)
    assert report[4:6] == (1_700_000_000 + 2_208_988_800, 1 << 30)
    assert report[6:] == (sender.rtp_time(180_000), 2, 7)


def test_units_are_found_between_start_codes() -> None:
    stream = b"\0\0\0\1\x67a\0\0\1\x68b\0\0\0\1\x65c\0d"
    assert list(nals_of(stream)) == [b"\x67a", b"\x68b", b"\x65c\0d"]


def test_the_encoder_holds_nothing_back_and_begins_where_it_is_told() -> None:
    encoder = H264Encoder((128, 96), 30, gop=1000)
    keys = []
    for index in range(20):
        units = encoder.encode(numbered(index), index * 3000, wants_key=index == 7)
        assert len(units) == 1
        keys.append(units[0].is_key)
    assert [index for index, is_key in enumerate(keys) if is_key] == [0, 7]


def test_every_key_frame_brings_its_parameter_sets() -> None:
    sets = parameter_sets((128, 96), 30)
    (unit,) = H264Encoder((128, 96), 30).encode(numbered(1), 0, wants_key=True)
    assert set(sets) <= set(unit.nals)


def test_times_never_stand_still() -> None:
    encoder = H264Encoder((128, 96), 30)
    times = [encoder.encode(numbered(i), 5, wants_key=False)[0].time for i in range(4)]
    assert times == [5, 6, 7, 8]
