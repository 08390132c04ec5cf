"""A connection through one of FFmpeg's demuxers. Belongs to one thread.

FFmpeg cannot be called off from another thread, so it reads for at most a second at a time: between
two such spans the capture looks whether it is to stop, and how long the source has been silent.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from contracts.errors import SourceStalled, SourceUnsupported
from live.sources.av_errors import source_error
from live.sources.connection import SourceFacts, VideoPacket
from live.sources.stop_signal import StopSignal

READ_SPAN_S = 1.0
MAX_PIXELS = 35_389_440  # 8192x4320
MAX_STREAMS = 32
GUARDS = {"max_pixels": str(MAX_PIXELS), "max_streams": str(MAX_STREAMS)}


class Closable(Protocol):
    """Holds something."""

    def close(self) -> None:
        """Give it back."""
        ...


@dataclass(slots=True)
class ContainerConnection:
    """An open container, and the video that was chosen in it.

    Attributes:
        silence_s: How long the source may say nothing.
        stop: Whether the capture is to stop.
        file: What the container is read from, where FFmpeg does not open it itself.
    """

    container: InputContainer
    stream: VideoStream
    facts: SourceFacts
    silence_s: float
    stop: StopSignal
    file: Closable | None = None
    decoder: VideoCodecContext = field(init=False)

    def __post_init__(self) -> None:
        self.decoder = self.stream.codec_context

    def packets(self) -> Iterator[VideoPacket]:
        """What the source sends; see ``Connection``."""
        heard_s = time.monotonic()
        while not self.stop.is_set():
            try:
                for packet in self.container.demux():
                    if self.stop.is_set():
                        return
                    if packet.stream_index == self.stream.index and packet.size:
                        heard_s = time.monotonic()
                        yield packet  # type: ignore[misc]  # of our stream, which is video
                    self._check_silence(heard_s)
                return
            except av.error.ExitError:  # the span is over
                self._check_silence(heard_s)
            except av.error.FFmpegError as exc:
                raise source_error(exc) from None

    def close(self) -> None:
        """Close the container; a source that hangs holds this up no longer than a span."""
        self.container.close()
        if self.file is not None:
            self.file.close()

    def _check_silence(self, heard_s: float) -> None:
        if time.monotonic() - heard_s > self.silence_s:
            raise SourceStalled(f"the source sent nothing for {self.silence_s:g} s")


def connect(
    container: InputContainer,
    *,
    silence_s: float,
    stop: StopSignal,
    is_paced: bool = False,
    is_finite: bool = False,
) -> ContainerConnection:
    """Choose the video of a container, and set its decoder up for one thread without delay.

    Raises:
        SourceUnsupported: There is no video in it, or none that can be decoded; it is closed then.
    """
    try:
        stream = _choose_stream(container)
        decoder = stream.codec_context
        decoder.thread_type, decoder.thread_count = "SLICE", 1
        decoder.flags |= Flags.low_delay
        decoder.options = {"max_pixels": str(MAX_PIXELS)}  # opening checks the probe's decoder only
    except BaseException:
        container.close()
        raise
    declared_fps = float(stream.average_rate) if stream.average_rate else None
    facts = SourceFacts(decoder.name, declared_fps, is_paced, is_finite)
    return ContainerConnection(container, stream, facts, silence_s, stop)


def _choose_stream(container: InputContainer) -> VideoStream:
    """The largest video that can be decoded and is no attached picture."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise SourceUnsupported("the source sends no video")
    decodable = [stream for stream in streams if _is_decodable(stream)]
    if not decodable:
        raise SourceUnsupported("its codec is not supported")
    return max(decodable, key=lambda s: (s.codec_context.width * s.codec_context.height, -s.index))


def _is_decodable(stream: VideoStream) -> bool:
    context: VideoCodecContext | None = stream.codec_context
    return context is not None
