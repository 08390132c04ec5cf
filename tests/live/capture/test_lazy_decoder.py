"""Decoding no more than needed, and nothing wrong."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from live.capture.lazy_decoder import MAX_WAITING, LazyDecoder
from live.capture.sampler import to_rgb
from live.sources.connection import VideoPacket
from tests.live.pictures import number_of, video


@contextmanager
def opened(clip: bytes) -> Iterator[tuple[LazyDecoder, list[VideoPacket]]]:
    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        assert isinstance(stream, VideoStream)
        stream.codec_context.thread_count = 1
        packets = [packet for packet in container.demux(stream) if packet.size]
        yield LazyDecoder(stream.codec_context), packets


def number(frame: VideoFrame | None) -> int | None:
    return None if frame is None else number_of(to_rgb(frame))


def test_the_newest_frame_comes_out() -> None:
    with opened(video(range(40), gop=10)) as (decoder, packets):
        for index, packet in enumerate(packets):
            decoder.push(packet)
            if index % 7 == 6:
                assert number(decoder.newest()) == index


def test_a_key_frame_makes_what_waits_unnecessary() -> None:
    with opened(video(range(31), gop=10)) as (decoder, packets):
        for packet in packets:
            decoder.push(packet)
        assert number(decoder.newest()) == 30
        assert decoder.num_decoded == 1


def test_sampling_at_key_frames_decodes_only_them() -> None:
    with opened(video(range(60), gop=10)) as (decoder, packets):
        for index, packet in enumerate(packets):
            decoder.push(packet)
            if packet.is_keyframe:
                assert number(decoder.newest()) == index
        assert decoder.num_decoded == 6


def test_nothing_comes_before_the_first_key_frame() -> None:
    with opened(video(range(30), gop=10)) as (decoder, packets):
        for packet in packets[3:10]:
            decoder.push(packet)
            assert decoder.newest() is None
        decoder.push(packets[10])
        assert number(decoder.newest()) == 10
        assert decoder.num_decoded == 1


def test_after_damage_nothing_comes_until_the_next_key_frame() -> None:
    with opened(video(range(30), gop=10)) as (decoder, packets):
        seen = []
        for index, packet in enumerate(packets):
            if index == 13:
                packet = damaged(packet)
            decoder.push(packet)
            seen.append(number(decoder.newest()))
        assert seen == [*range(13), *[None] * 7, *range(20, 30)]
        assert decoder.num_damaged == 1


def damaged(packet: VideoPacket) -> VideoPacket:
    noise = av.Packet(bytes([0, 0, 0, 5, 0x41, 0xFF, 0xFF, 0xFF, 0xFF]))
    noise.stream, noise.pts, noise.dts = packet.stream, packet.pts, packet.dts
    return noise  # type: ignore[return-value]


def test_frames_are_in_order_with_b_frames() -> None:
    with opened(video(range(60), gop=30, b_frames=2)) as (decoder, packets):
        decoder.skip = "NONREF"
        seen = []
        for index, packet in enumerate(packets):
            decoder.push(packet)
            if index % 10 == 9:
                seen.append(number(decoder.newest()))
        assert None not in seen
        assert seen == sorted(seen, key=lambda n: n or 0)
        assert len(set(seen)) == 6


def test_packets_do_not_pile_up_where_key_frames_are_rare() -> None:
    with opened(video(range(MAX_WAITING + 50), gop=10_000, size_wh=(64, 48))) as (decoder, packets):
        for packet in packets:
            decoder.push(packet)
        assert decoder.num_decoded == MAX_WAITING + 1
        assert number(decoder.newest()) == MAX_WAITING + 49


@pytest.mark.parametrize(
    ("codec", "container"), [("mjpeg", "avi"), ("libx265", "mp4"), ("mpeg4", "mp4")]
)
def test_other_codecs_work_as_well(codec: str, container: str) -> None:
    with opened(video(range(24), gop=12, codec=codec, container=container)) as (decoder, packets):
        for packet in packets:
            decoder.push(packet)
        frame = decoder.newest()
        assert number(frame) is not None
        assert decoder.num_decoded < 24
