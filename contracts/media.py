"""Pictures and clips: what was asked for, and what was read.

Pixels are uint8 RGB of shape (H, W, 3), upright (rotation and EXIF applied), and are shared, never
modified. Times are seconds from the start of the file or of the live stream.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that a client sent, on disk, with a name of our own."""

    path: Path


@dataclass(frozen=True, slots=True)
class MediaUrl:
    """A URL (http, https or data) or bare base64, as a client wrote it."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FrameList:
    """A clip as single pictures in time order, taken at ``fps`` pictures a second."""

    urls: tuple[str, ...] = field(repr=False)
    fps: float = 1.0


MediaSource = UploadedFile | MediaUrl | FrameList


@dataclass(frozen=True, slots=True)
class FrameSampling:
    """Which frames of a video a client asked for; ``None`` means not said.

    ``fps`` is in frames per second of video, ``start_s`` and ``end_s`` in seconds from its start.
    """

    fps: float | None = None
    num_frames: int | None = None
    max_frames: int | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class PixelRange:
    """Fewest and most pixels a picture is scaled to, aspect kept; ``None`` means no bound."""

    min_pixels: int | None = None
    max_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class FramePolicy:
    """How the served model takes frames of a video.

    Attributes:
        num_frames: Frames it sees when the client does not say.
        size_wh: Squash every frame to this width and height (as the checkpoint was trained), or
            ``None`` to keep the frame's own size.
    """

    num_frames: int
    size_wh: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One still picture.

    ``width`` and ``height`` are the file's, upright; ``rgb`` may have been scaled into the asked
    pixel range. ``fetch_s`` and ``decode_s`` are what reading it took.
    """

    rgb: U8
    width: int
    height: int
    format: str
    fetch_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        time_s: When it is first on screen, within its clip or live stream.
        captured_at: The moment in the world, for frames of live streams.
        sequence: Its number in its live stream, growing without end.
    """

    rgb: U8
    time_s: float
    captured_at: datetime | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The frames of a video that the model sees, in time order, and where they came from.

    Attributes:
        frames: At least one frame, all of one shape.
        duration_s: Of the whole file; ``None`` when its container does not say.
        source_fps: Average frames per second of the file; ``None`` likewise.
        num_source_frames: Whole frames in the file.
        width: Of the file's picture in pixels, upright.
        height: Likewise.
        codec: FFmpeg's name of the codec.
        start_s: Start of the range the frames were chosen from.
        end_s: End of it.
        sampled_by: ``default``, ``fps``, ``num_frames``, ``all``, with ``+max_frames`` if lowered.
        warnings: Sentences about damage that was passed over.
        fetch_s: Seconds the download took.
        decode_s: Seconds the decoder took.
    """

    frames: tuple[Frame, ...]
    duration_s: float | None
    source_fps: float | None
    num_source_frames: int
    width: int
    height: int
    codec: str
    start_s: float
    end_s: float
    sampled_by: str
    warnings: tuple[str, ...] = ()
    fetch_s: float = 0.0
    decode_s: float = 0.0

    @property
    def frame_times_s(self) -> tuple[float, ...]:
        """When each frame is first on screen."""
        return tuple(frame.time_s for frame in self.frames)


class PixelClaim(Protocol):
    """One request's part of the memory that decoded pixels may take."""

    def room(self, most_bytes: int) -> AbstractAsyncContextManager[None]:
        """Wait for room; a decoder that may give so many bytes runs inside."""
        ...

    def hold(self, num_bytes: int) -> None:
        """Count what it gave; ``TooManyMedia`` when one request may not hold that much."""
        ...


class UncountedPixels:
    """A claim without a limit, for whoever reads media outside the service."""

    @asynccontextmanager
    async def room(self, most_bytes: int) -> AsyncIterator[None]:
        """Wait for nothing."""
        yield

    def hold(self, num_bytes: int) -> None:
        """Count nothing."""


UNCOUNTED = UncountedPixels()


def uncounted_clip() -> None:
    """Nothing, for whoever counts no clips."""


class MediaReader(Protocol):
    """Turns what a client sent into pixels, safely.

    Errors are ``contracts.errors.MediaError`` and its neighbours, always before any pixel is
    returned. A cancelled call ends its download and its decoder. Pixels are counted on ``claim``.
    """

    async def read_image(
        self, source: MediaSource, *, pixels: PixelRange, claim: PixelClaim = UNCOUNTED
    ) -> Picture:
        """Read one still picture; a video is an ``UnsupportedMediaType``."""
        ...

    async def read_clip(
        self,
        source: MediaSource,
        sampling: FrameSampling,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
    ) -> Clip:
        """Read the asked frames of a video; a still picture is an ``UnsupportedMediaType``."""
        ...

    async def read_image_or_clip(
        self,
        source: MediaSource,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
        on_clip: Callable[[], None] = uncounted_clip,
    ) -> Picture | Clip:
        """Read whichever of the two the content is, a video with default sampling.

        ``on_clip`` is called as soon as it is recognised as a video, before the rest is fetched:
        from any thread, perhaps more than once. What it raises ends the reading.
        """
        ...

    async def close(self) -> None:
        """End every decoder and download."""
        ...


def stack_frames(frames: Sequence[Frame]) -> U8:
    """Frames of one shape as one array, uint8, shape (F, H, W, 3)."""
    return np.stack([frame.rgb for frame in frames])
