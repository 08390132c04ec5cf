"""What reading media may take: bytes, pixels, seconds, memory. Plain values."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from contracts.errors import MediaKind
from contracts.media import FramePolicy, PixelRange
from contracts.settings import Settings

MEGABYTE = 1 << 20
CHANNELS = 3


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bytes of the body, and seconds from the first packet to the last."""

    max_bytes: int
    total_s: float


@dataclass(frozen=True, slots=True)
class IfVideo:
    """What holds instead when a picture was expected and a video comes.

    ``tell`` is called then, from any thread, perhaps more than once; what it raises ends the read.
    """

    limits: FetchLimits
    tell: Callable[[], None]


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What reading may take; sizes in bytes, pixels and seconds.

    Attributes:
        video_fetch: Caps of a video, also of an uploaded one.
        image_fetch: Caps of a picture.
        max_image_pixels: Of one picture.
        max_frame_pixels: Of one frame of a video.
        max_frames: Frames that one clip may give.
        decode_s: Seconds of one decoder, on the wall and of processor.
        decode_bytes: Memory of one decoder.
        decoder: Library that decodes videos.
        media_allow: Hosts and networks that may be fetched from though they are not public.
        max_decoders: Decoders at a time.
        kept_bytes: Memory of pixels that are kept for media that come again.
    """

    video_fetch: FetchLimits
    image_fetch: FetchLimits
    max_image_pixels: int
    max_frame_pixels: int
    max_frames: int
    decode_s: float
    decode_bytes: int
    decoder: Literal["pyav", "decord"] = "pyav"
    media_allow: tuple[str, ...] = ()
    max_decoders: int = os.cpu_count() or 1
    kept_bytes: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "MediaLimits":
        """The limits that the operator chose."""
        return cls(
            FetchLimits(settings.max_video_mb * MEGABYTE, settings.video_fetch_timeout_s),
            FetchLimits(settings.max_image_mb * MEGABYTE, settings.image_fetch_timeout_s),
            settings.max_image_pixels,
            settings.max_frame_pixels,
            settings.max_frames,
            settings.decode_timeout_s,
            settings.decode_memory_mb * MEGABYTE,
            settings.decoder,
            settings.media_allow,
            kept_bytes=settings.decoded_cache_mb * MEGABYTE,
        )

    def picture_bytes(self, pixels: PixelRange) -> int:
        """The most that the pixels of one picture take, aspects of 1 to thousands aside."""
        largest = self.max_image_pixels
        return min(largest, pixels.max_pixels or largest) * CHANNELS

    def clip_bytes(self, policy: FramePolicy) -> int:
        """The most that the frames of one clip take."""
        width, height = policy.size_wh or (self.max_frame_pixels, 1)
        return self.max_frames * width * height * CHANNELS

    def fetch(self, kind: MediaKind) -> FetchLimits:
        """The caps of one kind."""
        return self.image_fetch if kind == "image" else self.video_fetch
