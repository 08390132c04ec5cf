"""One pass over a video's packets, nothing decoded: which frames are there, and when.

Headers are not believed: they promise frames that are not there, or none at all. Runs in a decoder
process only.
"""

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction

import av
from av.packet import Packet
from av.video.stream import VideoStream

from contracts.errors import DecodeLimit, ParseError
from media.container import OpenVideo

MAX_PACKETS = 2_000_000  # 18 hours at 30 frames a second
ASSUMED_FPS = Fraction(25)  # raw streams without times; FFmpeg assumes the same
RAW_FORMATS = ("h264", "hevc")
SEEKABLE_FORMATS = ("mov", "matroska", "webm", "avi", "asf", "flv", "mpegts", "mpeg")


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of one video stream.

    Attributes:
        positions: Sorted presentation times in units of ``time_base``; where the file has none, the
            frames' numbers, 0 to N - 1.
        key_positions: Those of the key frames.
        time_base: Seconds of one unit.
        has_times: Whether positions are times from the file.
        last_duration: How long the last frame stays, in units.
        is_seekable: Whether jumping to a key frame is worth a try.
        fps: Average rate; ``None`` when the file has neither times nor a rate.
        duration_s: End of the last frame; ``None`` likewise.
        warnings: What is not as the header promises.
    """

    positions: list[int]
    key_positions: list[int]
    time_base: Fraction
    has_times: bool
    last_duration: int
    is_seekable: bool
    fps: float | None
    duration_s: float | None
    warnings: tuple[str, ...]

    @property
    def times_s(self) -> list[float]:
        """When each frame is first on screen, seconds from the first."""
        first, unit_s = self.positions[0], float(self.time_base)
        return [(position - first) * unit_s for position in self.positions]

    @property
    def end_s(self) -> float:
        """End of the last frame, seconds from the first; assumed where the file does not say."""
        units = self.positions[-1] - self.positions[0] + self.last_duration
        return float(units * self.time_base)

    def key_before(self, position: int) -> int | None:
        """Place in ``key_positions`` of the last key frame that is not later."""
        place = bisect_right(self.key_positions, position) - 1
        return place if place >= 0 else None


@dataclass(slots=True)
class _Tally:
    """What the pass has seen so far."""

    positions: set[int]
    key_positions: set[int]
    num_packets: int = 0
    last_duration: int = 0
    misses_times: bool = False

    def add(self, packet: "Packet[VideoStream]") -> None:
        self.num_packets += 1
        if self.num_packets > MAX_PACKETS:
            raise DecodeLimit(f"the video has more than {MAX_PACKETS} frames", kind="video")
        if packet.pts is None:
            self.misses_times = True
            return
        self.positions.add(packet.pts)
        self.last_duration = packet.duration or self.last_duration
        if packet.is_keyframe:
            self.key_positions.add(packet.pts)


def index_frames(video: OpenVideo) -> FrameIndex:
    """Read all packets of the stream.

    Raises:
        ParseError: No whole frame in it.
        DecodeLimit: More than ``MAX_PACKETS``.
    """
    tally = _Tally(set(), set())
    try:
        for packet in video.container.demux(video.stream):
            # Before the start of an edit list, or cut short by the end of the file: not shown.
            if packet.size and not packet.is_discard and not packet.is_corrupt:
                tally.add(packet)
    except av.FFmpegError:
        pass  # a broken tail: what was read is the index
    if not tally.num_packets:
        raise ParseError("the video holds no whole frame", kind="video")
    return _numbered(video, tally) if tally.misses_times else _timed(video, tally)


def _timed(video: OpenVideo, tally: _Tally) -> FrameIndex:
    positions = sorted(tally.positions)
    unit = video.stream.time_base or Fraction(1, 1000)
    span = positions[-1] - positions[0]
    last_duration = tally.last_duration or round(span / max(1, len(positions) - 1))
    duration_s = float((span + last_duration) * unit)
    return FrameIndex(
        positions=positions,
        key_positions=sorted(tally.key_positions),
        time_base=unit,
        has_times=True,
        last_duration=last_duration,
        is_seekable=_format_name(video) in SEEKABLE_FORMATS and bool(tally.key_positions),
        fps=len(positions) / duration_s if duration_s > 0 else None,
        duration_s=duration_s if duration_s > 0 else None,
        warnings=_missing_frames(video.stream.frames, len(positions)),
    )


def _numbered(video: OpenVideo, tally: _Tally) -> FrameIndex:
    declared = None if _format_name(video) in RAW_FORMATS else video.stream.average_rate
    rate = declared or ASSUMED_FPS
    assumed = f"the file has no frame times; {float(rate):g} frames a second are assumed"
    return FrameIndex(
        positions=list(range(tally.num_packets)),
        key_positions=[],
        time_base=1 / rate,
        has_times=False,
        last_duration=1,
        is_seekable=False,
        fps=float(declared) if declared else None,
        duration_s=float(tally.num_packets / declared) if declared else None,
        warnings=() if declared else (assumed,),
    )


def _missing_frames(num_promised: int, num_there: int) -> tuple[str, ...]:
    if num_promised <= num_there:
        return ()
    return (f"the header promises {num_promised} frames, {num_there} are there",)


def _format_name(video: OpenVideo) -> str:
    return video.container.format.name.split(",")[0]
