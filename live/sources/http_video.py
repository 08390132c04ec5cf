"""Cameras and videos over http(s): MJPEG, HLS, and files that are played while they come.

FFmpeg reads only what it is handed: every connection, also of playlists and redirects, is made by
the guarded client, so that none goes where it may not.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import av
from av.container import InputContainer

from contracts.errors import SourceError, SourceStalled, SourceUnreachable, SourceUnsupported
from contracts.web import WebClient
from live.sources.av_errors import source_error
from live.sources.container_connection import GUARDS, ContainerConnection, connect
from live.sources.hls import choose_variant
from live.sources.source import Source
from live.sources.stop_signal import StopSignal
from live.sources.video_file import FORMATS
from live.sources.web_source import WebFile, WebSource

OPEN_S = 10.0
MAX_PLAYLIST_BYTES = 1 << 20
MJPEG_OPTIONS = GUARDS | {
    "format_whitelist": "mpjpeg",
    "use_wallclock_as_timestamps": "1",  # its own would be 25 a second, whatever comes
}
FILE_OPTIONS = GUARDS | {"format_whitelist": FORMATS}
HLS_OPTIONS = GUARDS | {
    "format_whitelist": f"hls,aac,mp3,{FORMATS}",
    "allowed_extensions": "ALL",  # nothing is opened but by the guarded client
    "extension_picky": "0",
    "http_persistent": "0",
    "http_multiple": "0",
    "live_start_index": "-1",
    "max_reload": "3",
}


def open_http(
    source: Source,
    client: WebClient,
    *,
    silence_s: float,
    stop: StopSignal,
    open_s: float = OPEN_S,
) -> ContainerConnection:
    """Connect to whatever the URL leads to.

    Raises:
        SourceNotPermitted: An address it leads to is not allowed.
        SourceError: It cannot be reached, refuses, or sends no video.
    """
    web = WebSource(source, client, timeout_s=silence_s, stop=stop)
    web.deadline_s = time.monotonic() + open_s
    try:
        file = web.open(source.url)
        connection = _connect(web, file, silence_s, stop)
    except BaseException:
        web.close()
        raise
    web.deadline_s = None
    connection.file = web
    return connection


def _connect(
    web: WebSource, file: WebFile, silence_s: float, stop: StopSignal
) -> ContainerConnection:
    if _is_multipart(file):
        container = _open(file, "mpjpeg", MJPEG_OPTIONS)
        connection = connect(container, silence_s=silence_s, stop=stop)
        connection.facts = replace(connection.facts, declared_fps=None)
        return connection
    container = _open_hls(web, file) if _is_playlist(file) else _open(file, None, FILE_OPTIONS)
    is_finite = container.duration is not None
    return connect(container, silence_s=silence_s, stop=stop, is_paced=True, is_finite=is_finite)


def _is_multipart(file: WebFile) -> bool:
    return file.content_type.startswith("multipart/") or file.peek().lstrip().startswith(b"--")


def _is_playlist(file: WebFile) -> bool:
    head = file.peek().removeprefix(b"\xef\xbb\xbf")
    return "mpegurl" in file.content_type or head.startswith(b"#EXTM3U")


def _open_hls(web: WebSource, file: WebFile) -> InputContainer:
    playlist = _read_text(file)
    url = choose_variant(playlist, file.url) or file.url

    def open_part(url: str, flags: int, options: Mapping[str, str]) -> WebFile:
        first, last = int(options.get("offset", 0)), int(options.get("end_offset", 0))
        return web.open(url, byte_range=f"{first}-{last - 1}" if last else "")

    try:
        return av.open(url, "r", format="hls", options=HLS_OPTIONS, io_open=open_part)
    except av.error.FFmpegError as exc:
        raise _error(exc) from None


def _read_text(file: WebFile) -> str:
    content = b""
    while part := file.read(1 << 16):
        content += part
        if len(content) > MAX_PLAYLIST_BYTES:
            raise SourceUnsupported("its playlist is larger than 1 MB")
    file.close()
    return content.decode("utf-8", "replace")


def _open(file: WebFile, format_name: str | None, options: Mapping[str, str]) -> InputContainer:
    try:
        return av.open(file, "r", format=format_name, options=dict(options))
    except (av.error.FFmpegError, ValueError) as exc:
        raise _error(exc) from None


def _error(exc: Exception) -> SourceError:
    if isinstance(exc, av.error.FFmpegError) and not isinstance(exc, ValueError):
        error = source_error(exc)
        return SourceUnreachable(error.message) if isinstance(error, SourceStalled) else error
    return SourceUnsupported("what the source sends is no video of a known format")
