"""Live streams whose cameras show what a test hands them, and only that, when it says so.

The registry, its threads and its buffers are the real ones; time is put forward by hand.
"""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from contracts.errors import SourceError, SourceUnauthorized, SourceUnreachable
from contracts.media import U8
from contracts.streams import StreamState
from live.sources.connection import SourceFacts, VideoPacket
from live.sources.source import Source
from live.sources.stop_signal import StopSignal
from live.streams.registry import StreamRegistry
from tests.live.clocks import ShiftedClock
from tests.live.registries import PATIENCE_S, Changes, config, registry

POLL_S = 0.02


def plain(grey: int, size_wh: tuple[int, int] = (160, 90)) -> U8:
    """A picture of one shade."""
    width, height = size_wh
    return np.full((height, width, 3), grey, np.uint8)


def url_of(stream_id: str) -> str:
    return f"rtsp://host/{stream_id}"


@dataclass
class HandCamera:
    """What one source sends: packets, or what goes wrong; a refusal is met by who connects."""

    sent: "queue.SimpleQueue[VideoPacket | SourceError]" = field(default_factory=queue.SimpleQueue)
    refusal: SourceError | None = None

    def show(self, rgb: U8) -> None:
        encoder = VideoCodecContext.create("mjpeg", "w")
        encoder.height, encoder.width, _ = rgb.shape
        encoder.pix_fmt = "yuvj444p"
        encoder.time_base = Fraction(1, 1000)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuvj444p")
        (packet,) = encoder.encode(frame)
        packet.pts = packet.dts = None  # a webcam's: dated when it comes
        self.sent.put(packet)


@dataclass
class HandConnection:
    """A connection to such a camera."""

    camera: HandCamera
    stop: StopSignal
    facts: SourceFacts = field(default_factory=lambda: SourceFacts("mjpeg", None))
    decoder: VideoCodecContext = field(
        default_factory=lambda: VideoCodecContext.create("mjpeg", "r")
    )

    def packets(self) -> Iterator[VideoPacket]:
        while not self.stop.is_set():
            try:
                sent = self.camera.sent.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if isinstance(sent, SourceError):
                raise sent
            yield sent

    def close(self) -> None:
        pass


class Stage:
    """Streams and their cameras; ``rtsp://host/<id>`` is the camera of that name."""

    def __init__(self) -> None:
        self.clock = ShiftedClock()
        self.streams: StreamRegistry
        self.changes: Changes
        self._cameras: dict[str, HandCamera] = {}

    def camera(self, name: str) -> HandCamera:
        return self._cameras.setdefault(name, HandCamera())

    def open(self, source: Source, *, silence_s: float, stop: StopSignal) -> HandConnection:
        camera = self.camera(source.url.rpartition("/")[2])
        if camera.refusal is not None:
            raise camera.refusal
        return HandConnection(camera, stop)

    def add(self, stream_id: str, **wishes: float | bool | str) -> None:
        self.streams.add(config(stream_id, url_of(stream_id), name=stream_id, **wishes))

    def show(self, stream_id: str, *pictures: U8) -> None:
        """Let pictures come, each a second after the one before."""
        for rgb in pictures:
            before = self.streams.wait_newer(stream_id, -1, timeout_s=0)
            self.clock.ahead_s += 1
            self.camera(stream_id).show(rgb)
            assert self.streams.wait_newer(stream_id, before, timeout_s=PATIENCE_S) > before

    def lose(self, stream_id: str, reason: str = "the source closed the connection") -> None:
        """Break the connection, and refuse every other one."""
        self._refuse(stream_id, SourceUnreachable(reason), StreamState.LOST)

    def lock_out(self, stream_id: str, reason: str = "the source refuses the credentials") -> None:
        """Break the connection, and refuse whoever comes again for good."""
        self._refuse(stream_id, SourceUnauthorized(reason), StreamState.FAILED)

    def switch_off(self, stream_id: str) -> None:
        self.streams.update(replace(self.streams.status(stream_id).config, enabled=False))

    def stall(self) -> None:
        """Let all streams be silent for some time."""
        self.clock.ahead_s += 15

    def _refuse(self, stream_id: str, error: SourceError, state: StreamState) -> None:
        camera = self.camera(stream_id)
        camera.refusal = error
        camera.sent.put(error)
        self.changes.wait_for(stream_id, state)


@contextmanager
def stage(*stream_ids: str, max_streams: int = 8) -> Iterator[Stage]:
    """Streams while the block lasts; files and the web are not permitted."""
    made = Stage()
    with registry(max_streams=max_streams, open_source=made.open, clock=made.clock) as (
        made.streams,
        made.changes,
    ):
        for stream_id in stream_ids:
            made.add(stream_id)
        yield made
