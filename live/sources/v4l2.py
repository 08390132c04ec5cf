"""Cameras of this machine as sources: buffers of the driver as packets of FFmpeg's decoders."""

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
from av.video.codeccontext import VideoCodecContext

from contracts.errors import SourceStalled
from live.sources.connection import SourceFacts, VideoPacket
from live.sources.container_connection import MAX_PIXELS, READ_SPAN_S
from live.sources.rules import check_device
from live.sources.source import Source
from live.sources.stop_signal import StopSignal
from live.sources.v4l2_device import FilledBuffer, Layout, V4l2Device

MICROSECOND = Fraction(1, 1_000_000)


class V4l2Connection:
    """One open camera; implements ``Connection``."""

    def __init__(self, device: V4l2Device, *, silence_s: float, stop: StopSignal) -> None:
        layout = device.layout
        self.facts = SourceFacts(layout.codec, layout.fps)
        self.decoder = _decoder(layout)
        self._device = device
        self._silence_s = silence_s
        self._stop = stop

    def packets(self) -> Iterator[VideoPacket]:
        """What the camera sends; every packet is a whole picture."""
        heard_s = time.monotonic()
        while not self._stop.is_set():
            buffer = self._device.next_buffer(READ_SPAN_S)
            if buffer is not None:
                heard_s = time.monotonic()
                yield _packet(buffer)
            elif time.monotonic() - heard_s > self._silence_s:
                raise SourceStalled(f"the camera sent nothing for {self._silence_s:g} s")

    def close(self) -> None:
        """Give the camera back."""
        self._device.close()


def open_v4l2(source: Source, *, silence_s: float, stop: StopSignal) -> V4l2Connection:
    """Open a camera.

    Raises:
        SourceError: It is unplugged, in use, or no camera.
    """
    check_device(source.path)
    device = V4l2Device(source.path)
    return V4l2Connection(device, silence_s=silence_s, stop=stop)


def _decoder(layout: Layout) -> VideoCodecContext:
    decoder = cast(VideoCodecContext, av.CodecContext.create(layout.codec, "r"))
    decoder.thread_count = 1
    if layout.pix_fmt is not None:  # compressed pictures say it themselves
        decoder.width, decoder.height = layout.size_wh
        decoder.pix_fmt = layout.pix_fmt
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


def _packet(buffer: FilledBuffer) -> VideoPacket:
    packet = av.Packet(buffer.content)
    packet.is_keyframe = True
    packet.time_base = MICROSECOND
    if buffer.captured_s is not None:
        packet.pts = packet.dts = round(buffer.captured_s * 1e6)
    return cast(VideoPacket, packet)
