"""Decodes no more packets than the wanted frames need.

Packets wait until a frame is wanted. A key frame makes all that wait before it unnecessary, so a
source that is sampled once a second and sends a key frame a second costs one decoded frame, and
other sources cost what lies between the last key frame and the sample. Belongs to one thread.
"""

from dataclasses import dataclass, field
from typing import Literal

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from live.sources.connection import VideoPacket

MAX_WAITING_BYTES = 16_000_000
MAX_WAITING = 600  # packets: 20 s at 30 frames a second

Skip = Literal["DEFAULT", "NONREF"]


@dataclass(slots=True)
class LazyDecoder:
    """The decoder of one connection.

    Attributes:
        codec: With one thread, so that it holds no frame back.
        skip: ``NONREF`` leaves out frames that no other needs, for low rates.
        num_decoded: Packets that were given to the decoder.
        num_damaged: Packets that did not decode.
    """

    codec: VideoCodecContext
    skip: Skip = "DEFAULT"
    num_decoded: int = 0
    num_damaged: int = 0
    _waiting: list[VideoPacket] = field(default_factory=list)
    _waiting_bytes: int = 0
    _needs_key: bool = True

    def push(self, packet: VideoPacket) -> None:
        """Take the next packet; one that cannot be decoded without a key frame is dropped."""
        if packet.is_keyframe:
            self._forget()
            self._needs_key = False
        elif self._needs_key:
            return
        self._waiting.append(packet)
        self._waiting_bytes += packet.size
        if len(self._waiting) > MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            self.newest()

    def newest(self) -> VideoFrame | None:
        """Decode what waits; the last frame that comes out, if any does.

        After damage nothing comes until the next key frame: decoders hand out wrong pictures then.
        """
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self.codec.skip_frame = self.skip
        newest = None
        try:
            for packet in waiting:
                self.num_decoded += 1
                for frame in self.codec.decode(packet):
                    newest = frame
        except av.FFmpegError:
            self.num_damaged += 1
            self.codec.flush_buffers()
            self._needs_key = True
            return None
        return None if newest is None or newest.is_corrupt else newest

    def _forget(self) -> None:
        """Drop what waits; the decoder has not seen it and must not go on from before it."""
        if self._waiting:
            self.codec.flush_buffers()
        self._waiting, self._waiting_bytes = [], 0
