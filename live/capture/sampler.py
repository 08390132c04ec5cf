"""From the packets of one connection to the frames that are kept. Belongs to one thread."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from contracts.media import U8
from live.capture.lazy_decoder import LazyDecoder
from live.capture.sample_grid import SampleGrid
from live.capture.source_clock import SourceClock
from live.clock import Clock
from live.sources.connection import Connection, VideoPacket, times_of

MAX_SIDE_PX = 1280  # of a kept frame: more than any model looks at
LATE_S = 1.0  # a packet that waited longer is not worth decoding: newer ones are there already
PATIENCE_S = 1.0  # after which all that was waiting has been read; who is late then counts wrongly
SPARSE = 4.0  # source frames per kept one, from where on frames that no other needs are skipped
ASSUMED_FPS = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame that is to be kept.

    Attributes:
        rgb: uint8, shape (H, W, 3), at most ``MAX_SIDE_PX`` long.
        captured_s: On the monotonic clock.
        size_wh: Of the source's picture.
    """

    rgb: U8
    captured_s: float
    size_wh: tuple[int, int]


class Sampler:
    """Takes every packet, decodes and converts only what is kept.

    Attributes:
        num_dropped: Frames that were due and not kept: damaged, out of order or too late.
    """

    def __init__(
        self, connection: Connection, clock: Clock, interval_s: Callable[[], float]
    ) -> None:
        self.num_dropped = 0
        self._clock = clock
        self._interval_s = interval_s
        self._fps = connection.facts.declared_fps or ASSUMED_FPS
        self._decoder = LazyDecoder(connection.decoder)
        self._grid = SampleGrid()
        self._source_clock = SourceClock()
        self._last_pts_s = float("-inf")
        self._late_since_s: float | None = None

    def sample(self, packet: VideoPacket) -> Sample | None:
        """Take the next packet; the frame that is to be kept now, if any is."""
        now_s = self._clock.monotonic()
        dts_s, pts_s = times_of(packet)
        self._source_clock.observe(dts_s, now_s)
        self._decoder.push(packet)
        place_s = now_s if pts_s is None or not self._source_clock.is_trusted else pts_s
        interval_s = self._interval_s()
        if not self._grid.is_due(place_s, interval_s, is_key=packet.is_keyframe):
            return None
        if self._is_late(now_s):
            self._grid.take(place_s, interval_s)
            self.num_dropped += 1
            return None
        frame = self._decode(interval_s)
        if frame is None:
            return None
        self._grid.take(place_s, interval_s)
        captured_s = self._source_clock.captured_s(_pts_s(frame), self._clock.monotonic())
        return Sample(to_rgb(frame), captured_s, (frame.width, frame.height))

    def _decode(self, interval_s: float) -> VideoFrame | None:
        """Decode what waits; nothing that is damaged, or shown before what was kept last."""
        self._decoder.skip = "NONREF" if interval_s * self._fps >= SPARSE else "DEFAULT"
        num_damaged = self._decoder.num_damaged
        frame = self._decoder.newest()
        self.num_dropped += self._decoder.num_damaged - num_damaged
        if frame is None or self._is_in_order(_pts_s(frame)):
            return frame
        self.num_dropped += 1
        return None

    def _is_late(self, now_s: float) -> bool:
        """Whether newer packets than this one are waiting to be read already."""
        if self._source_clock.lag_s() <= LATE_S:
            self._late_since_s = None
            return False
        self._late_since_s = self._late_since_s or now_s
        if now_s - self._late_since_s <= PATIENCE_S:
            return True
        self._source_clock.doubt()
        self._late_since_s = None
        return False

    def _is_in_order(self, pts_s: float | None) -> bool:
        """Whether a frame is shown after the last kept one; a large step back begins anew."""
        if pts_s is None:
            return True
        if 0 <= self._last_pts_s - pts_s < LATE_S:
            return False
        self._last_pts_s = pts_s
        return True


def _pts_s(frame: VideoFrame) -> float | None:
    return None if frame.pts is None or frame.time_base is None else float(frame.time)


def to_rgb(frame: VideoFrame) -> U8:
    """A frame upright, at most ``MAX_SIDE_PX`` long: uint8, shape (H, W, 3)."""
    scale = min(1.0, MAX_SIDE_PX / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    rgb: U8 = frame.to_ndarray(  # type: ignore[assignment]
        format="rgb24", width=width, height=height, interpolation="AREA", threads=1
    )
    quarter_turns = round((frame.rotation or 0) / 90) % 4
    return np.rot90(rgb, quarter_turns) if quarter_turns else rgb
