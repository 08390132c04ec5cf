"""Pictures as H.264 for whoever watches: no B-frames, no delay, a key frame when one is wanted.

Belongs to one thread at a time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from contracts.media import U8

RTP_HZ = 90_000  # of all video in RTP, RFC 3551
BITS_PER_PIXEL = 0.1  # at 30 frames a second; 720p: 2.8 Mbit/s
SPS, PPS, SEI = 7, 8, 6
START_CODE = re.compile(rb"\x00\x00\x01")


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture.

    Attributes:
        nals: Its NAL units, without start codes.
        time: In units of ``RTP_HZ``.
        is_key: Whether a player can begin with it.
    """

    nals: tuple[bytes, ...]
    time: int
    is_key: bool


class H264Encoder:
    """x264 for one size and rate."""

    def __init__(self, size_wh: tuple[int, int], fps: float, *, gop: int | None = None) -> None:
        self._context = _context(size_wh, fps, gop or max(1, round(fps)))
        self._last_time = -1

    def encode(self, rgb: U8, time: int, *, wants_key: bool) -> list[AccessUnit]:
        """Encode the next picture.

        Args:
            rgb: uint8, shape (H, W, 3) of the encoder's size.
            time: In units of ``RTP_HZ``.
            wants_key: Whether somebody is to begin with it.
        """
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format="yuv420p", threads=1
        )
        frame.pts = self._last_time = max(time, self._last_time + 1)
        frame.time_base = Fraction(1, RTP_HZ)
        if wants_key:
            frame.pict_type = PictureType.I
        return [
            AccessUnit(tuple(nals_of(bytes(packet))), packet.pts or 0, packet.is_keyframe)
            for packet in self._context.encode(frame)
        ]


@lru_cache(maxsize=64)
def parameter_sets(size_wh: tuple[int, int], fps: float) -> tuple[bytes, bytes]:
    """SPS and PPS, which do not depend on the pictures."""
    grey = np.full((size_wh[1], size_wh[0], 3), 128, np.uint8)
    (unit,) = H264Encoder(size_wh, fps).encode(grey, 0, wants_key=True)
    sps = next(nal for nal in unit.nals if nal[0] & 31 == SPS)
    pps = next(nal for nal in unit.nals if nal[0] & 31 == PPS)
    return sps, pps


def nals_of(annex_b: bytes) -> Iterator[bytes]:
    """The NAL units between start codes of three or four bytes."""
    starts = [match.end() for match in START_CODE.finditer(annex_b)]
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        if following is None:
            yield annex_b[start:]
        else:
            yield annex_b[start : following - 3].rstrip(b"\x00")


def _context(size_wh: tuple[int, int], fps: float, gop: int) -> VideoCodecContext:
    width, height = size_wh
    kbit_s = max(200, round(width * height * BITS_PER_PIXEL * min(fps, 30) / 1000))
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, RTP_HZ)
    context.framerate = Fraction(fps).limit_denominator(1001)
    context.bit_rate, context.gop_size = kbit_s * 1000, gop
    x264 = f"threads=1:sliced-threads=0:repeat-headers=1:vbv-maxrate={kbit_s}:vbv-bufsize={kbit_s}"
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": x264,
    }
    return context
