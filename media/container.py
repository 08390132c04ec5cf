"""Opening a stranger's video: which formats, from where, how large; nothing is decoded for it.

Runs in a decoder process only. The file comes as a descriptor, read through FFmpeg's ``fd``
protocol with every other protocol switched off: no name decides anything, and what the file says
(a playlist, a script) cannot make the demuxer open another one.
"""

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from contracts.errors import ParseError, PictureTooLarge, UnsupportedMediaType
from media.sniff import ACCEPTED_VIDEOS

# The whitelist is not optional: without it a playlist or an ffconcat script reads other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,gif,ogg,asf,h264,hevc,ivf,mjpeg"
)
MAX_STREAMS = 32
TIME_OUT_S = (5.0, 5.0)  # open, read; a local file answers at once


@dataclass(slots=True)
class OpenVideo:
    """A container and the video stream chosen in it: the largest that is no attached picture."""

    container: InputContainer
    stream: VideoStream
    fd: int
    max_pixels: int

    def reopen(self) -> None:
        """Go back to the start, also where the format cannot seek."""
        self.container.close()
        again = open_video(self.fd, self.max_pixels, is_known_format=True)
        self.container, self.stream = again.container, again.stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.container.close()


def open_video(fd: int, max_pixels: int, *, is_known_format: bool) -> OpenVideo:
    """Open the file from its start.

    Args:
        fd: Descriptor of the file; stays open, its offset moves.
        max_pixels: Most pixels of a frame; the decoder enforces it too.
        is_known_format: Whether the first bytes looked like a video; decides which error says that
            nothing could be opened.

    Raises:
        ParseError: Damaged, or no video stream in it.
        UnsupportedMediaType: None of the accepted formats.
        PictureTooLarge: A frame has more than ``max_pixels``.
    """
    os.lseek(fd, 0, os.SEEK_SET)
    container = _open_container(fd, max_pixels, is_known_format=is_known_format)
    try:
        stream = _choose_stream(container)
        codec = stream.codec_context
        _check_size(codec.width, codec.height, max_pixels)
        if not codec.width:  # the probe gave up on it, perhaps because it is too large
            _check_declared_size(fd, max_pixels)
    except BaseException:
        container.close()
        raise
    codec.options = {"max_pixels": str(max_pixels)}  # opening checks the probe's decoder only
    codec.thread_type, codec.thread_count = "SLICE", 1
    return OpenVideo(container, stream, fd, max_pixels)


def _open_container(fd: int, max_pixels: int, *, is_known_format: bool) -> InputContainer:
    options = {
        "fd": str(fd),
        "protocol_whitelist": "fd",
        "format_whitelist": FORMATS,
        "max_streams": str(MAX_STREAMS),
        "max_pixels": str(max_pixels),
    }
    try:
        return av.open("fd:", options=options, metadata_errors="replace", timeout=TIME_OUT_S)
    except MemoryError:  # FFmpeg's own is one too
        raise
    except (av.FFmpegError, ValueError):
        if is_known_format:
            message = "the video is damaged: no part of it could be opened"
            raise ParseError(message, kind="video") from None
        message = f"expected a video ({ACCEPTED_VIDEOS}), got content that is none of them"
        raise UnsupportedMediaType(message, kind="video") from None


def _check_declared_size(fd: int, max_pixels: int) -> None:
    """Look at the sizes that the container's header says, with every decoder switched off."""
    os.lseek(fd, 0, os.SEEK_SET)
    options = {
        "fd": str(fd),
        "protocol_whitelist": "fd",
        "format_whitelist": FORMATS,
        "codec_whitelist": "none",
    }
    with av.open("fd:", options=options, metadata_errors="replace", timeout=TIME_OUT_S) as declared:
        for stream in declared.streams.video:
            _check_size(stream.codec_context.width, stream.codec_context.height, max_pixels)


def _choose_stream(container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise ParseError("the file holds no video stream", kind="video")
    return max(streams, key=lambda s: (s.codec_context.width * s.codec_context.height, -s.index))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        message = f"frames are {width}x{height} pixels; expected at most {max_pixels} pixels"
        raise PictureTooLarge(message, kind="video")
