"""Files as cameras, read through a descriptor: no name decides anything, no other file is read."""

import os
from pathlib import Path

import av
from av.container import InputContainer

from contracts.errors import SourceNotPermitted, SourceUnreachable, SourceUnsupported
from live.sources.av_errors import source_error
from live.sources.container_connection import GUARDS, ContainerConnection, connect
from live.sources.stop_signal import StopSignal

# The whitelist is not optional: without it a playlist or an ffconcat script reads other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,gif,ogg,asf,h264,hevc,ivf,mjpeg"
)
TIME_OUT_S = (5.0, 5.0)  # open, read; a local file answers at once


def open_file(path: Path, *, silence_s: float, stop: StopSignal) -> ContainerConnection:
    """Open a file from its start.

    Args:
        path: Resolved and permitted.
        silence_s: How long reading may take.
        stop: Whether the capture is to stop.

    Raises:
        SourceUnreachable: There is no such file.
        SourceNotPermitted: It may not be read.
        SourceUnsupported: It is no video of a known format.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        raise SourceNotPermitted("this service may not read the file") from None
    except OSError:
        raise SourceUnreachable("there is no such file") from None
    try:
        container = _open_container(fd)
    finally:
        os.close(fd)  # FFmpeg has a descriptor of its own
    return connect(container, is_paced=True, is_finite=True, silence_s=silence_s, stop=stop)


def _open_container(fd: int) -> InputContainer:
    options = GUARDS | {
        "fd": str(fd),
        "protocol_whitelist": "fd",
        "format_whitelist": FORMATS,
    }
    try:
        return av.open("fd:", options=options, metadata_errors="replace", timeout=TIME_OUT_S)
    except av.error.ExitError as exc:
        raise source_error(exc) from None
    except (av.error.FFmpegError, ValueError):  # it will not be better at the next try
        raise SourceUnsupported("the file is damaged, or no video of a known format") from None
