"""A camera of this machine, through Linux' own interface: buffers that the driver fills in turn.

Never blocks but in ``next_buffer``, and there no longer than it is told: a camera that hangs takes
no thread with it. Belongs to one thread.
"""

import errno
import fcntl
import mmap
import os
import select
from collections.abc import Iterator
from contextlib import suppress
from ctypes import c_int
from dataclasses import dataclass

from contracts.errors import SourceError, SourceNotPermitted, SourceUnreachable, SourceUnsupported
from live.sources import v4l2_abi as abi

NUM_BUFFERS = 4
WANTED_WH = (1280, 720)  # the driver takes the nearest it has
WANTED_FPS = 30

# Compressed first: it costs the bus least, and only what is kept is decoded.
# Four letters: FFmpeg's decoder and pixel format, bytes of a row per pixel.
FORMATS: dict[str, tuple[str, str | None, int]] = {
    "MJPG": ("mjpeg", None, 0),
    "JPEG": ("mjpeg", None, 0),
    "YUYV": ("rawvideo", "yuyv422", 2),
    "UYVY": ("rawvideo", "uyvy422", 2),
    "NV12": ("rawvideo", "nv12", 1),
    "YU12": ("rawvideo", "yuv420p", 1),
    "RGB3": ("rawvideo", "rgb24", 3),
    "BGR3": ("rawvideo", "bgr24", 3),
    "GREY": ("rawvideo", "gray", 1),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a camera's pictures lie in its buffers.

    Attributes:
        codec: FFmpeg's decoder.
        pix_fmt: FFmpeg's pixel format of raw pictures.
        fps: As the driver declares it.
    """

    codec: str
    pix_fmt: str | None
    size_wh: tuple[int, int]
    fps: float | None


@dataclass(frozen=True, slots=True)
class FilledBuffer:
    """One picture, copied out; ``captured_s`` is on the monotonic clock, if the driver says."""

    content: bytes
    captured_s: float | None


class V4l2Device:
    """An open camera that is sending.

    Raises, from its constructor and from ``next_buffer``:
        SourceUnreachable: It is unplugged, or another program has it.
        SourceNotPermitted: This service may not open it.
        SourceUnsupported: It is no camera, or sends nothing that is understood.
    """

    def __init__(self, path: str) -> None:
        self._maps: list[mmap.mmap] = []
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            raise device_error(exc) from None
        try:
            self._check_kind()
            self.layout = self._choose_layout()
            self._start()
        except OSError as exc:
            self.close()
            raise device_error(exc) from None
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def next_buffer(self, timeout_s: float) -> FilledBuffer | None:
        """Wait for the next picture, at most so long; ``None`` if none came, or a damaged one."""
        if not self._poll.poll(timeout_s * 1000):
            return None
        buffer = _buffer()
        try:
            fcntl.ioctl(self._fd, abi.DQBUF, buffer)
            content = self._maps[buffer.index][: buffer.bytesused]
            fcntl.ioctl(self._fd, abi.QBUF, buffer)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise device_error(exc) from None
        if buffer.flags & abi.BUF_FLAG_ERROR or not content:
            return None
        return FilledBuffer(content, _captured_s(buffer))

    def close(self) -> None:
        """Stop it and give it back."""
        with suppress(OSError):
            fcntl.ioctl(self._fd, abi.STREAMOFF, c_int(abi.VIDEO_CAPTURE))
        for one in self._maps:
            one.close()
        self._maps = []
        os.close(self._fd)

    def _check_kind(self) -> None:
        capability = abi.Capability()
        fcntl.ioctl(self._fd, abi.QUERYCAP, capability)
        has_own = capability.capabilities & abi.CAP_DEVICE_CAPS
        can = capability.device_caps if has_own else capability.capabilities
        if not can & abi.CAP_VIDEO_CAPTURE or not can & abi.CAP_STREAMING:
            raise SourceUnsupported("the device is no camera; try its neighbour")

    def _choose_layout(self) -> Layout:
        offered = set(self._offered())
        name = next((one for one in FORMATS if abi.fourcc(one) in offered), None)
        if name is None:
            raise SourceUnsupported(f"the camera has none of the formats {', '.join(FORMATS)}")
        codec, pix_fmt, bytes_per_pixel = FORMATS[name]
        wanted = abi.Format(type=abi.VIDEO_CAPTURE)
        pix = wanted.fmt.pix
        pix.width, pix.height = WANTED_WH
        pix.pixelformat, pix.field = abi.fourcc(name), abi.FIELD_NONE
        fcntl.ioctl(self._fd, abi.S_FMT, wanted)
        if pix.pixelformat != abi.fourcc(name) or (
            pix_fmt is not None and pix.bytesperline not in (0, pix.width * bytes_per_pixel)
        ):
            raise SourceUnsupported("the camera's pictures lie in memory as no decoder reads them")
        return Layout(codec, pix_fmt, (pix.width, pix.height), self._set_rate())

    def _offered(self) -> Iterator[int]:
        description = abi.FormatDescription(type=abi.VIDEO_CAPTURE)
        while True:
            try:
                fcntl.ioctl(self._fd, abi.ENUM_FMT, description)
            except OSError as exc:
                if exc.errno != errno.EINVAL:  # which ends the list
                    raise
                return
            yield description.pixelformat
            description.index += 1

    def _set_rate(self) -> float | None:
        """Ask for the usual rate; what the driver says it is."""
        parameters = abi.StreamParameters(type=abi.VIDEO_CAPTURE)
        capture = parameters.parm.capture
        capture.numerator, capture.denominator = 1, WANTED_FPS
        try:
            fcntl.ioctl(self._fd, abi.S_PARM, parameters)
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOTTY):  # it does not know rates
                raise
            return None
        return capture.denominator / capture.numerator if capture.numerator else None

    def _start(self) -> None:
        wanted = abi.RequestBuffers(
            count=NUM_BUFFERS, type=abi.VIDEO_CAPTURE, memory=abi.MEMORY_MMAP
        )
        fcntl.ioctl(self._fd, abi.REQBUFS, wanted)
        for index in range(wanted.count):
            buffer = _buffer(index)
            fcntl.ioctl(self._fd, abi.QUERYBUF, buffer)
            self._maps.append(mmap.mmap(self._fd, buffer.length, offset=buffer.m.offset))
            fcntl.ioctl(self._fd, abi.QBUF, buffer)
        fcntl.ioctl(self._fd, abi.STREAMON, c_int(abi.VIDEO_CAPTURE))


def _buffer(index: int = 0) -> abi.Buffer:
    return abi.Buffer(index=index, type=abi.VIDEO_CAPTURE, memory=abi.MEMORY_MMAP)


def _captured_s(buffer: abi.Buffer) -> float | None:
    if buffer.flags & abi.BUF_FLAG_TIMESTAMP_MASK != abi.BUF_FLAG_TIMESTAMP_MONOTONIC:
        return None
    seconds: float = buffer.timestamp.seconds + buffer.timestamp.microseconds / 1e6
    return seconds


def device_error(exc: OSError) -> SourceError:
    """The kernel's error in our words."""
    if exc.errno in (errno.EACCES, errno.EPERM):
        return SourceNotPermitted("this service may not open the camera; add it to group video")
    if exc.errno == errno.EBUSY:
        return SourceUnreachable("another program uses the camera")
    if exc.errno in (errno.ENOTTY, errno.EINVAL):
        return SourceUnsupported("the device is no camera")
    return SourceUnreachable("the camera is not plugged in")
