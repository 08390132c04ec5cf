"""RTSP cameras, through FFmpeg: TCP first, UDP where a camera refuses it, TLS for rtsps."""

import av

from contracts.errors import SourceStalled, SourceUnreachable
from live.sources.av_errors import source_error
from live.sources.container_connection import GUARDS, READ_SPAN_S, ContainerConnection, connect
from live.sources.rules import HostRules
from live.sources.source import Source
from live.sources.stop_signal import StopSignal

OPEN_S = 5.0
OPTIONS = GUARDS | {
    "rtsp_transport": "tcp+udp",
    "rtsp_flags": "prefer_tcp",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtsps,rtp,udp,tcp,tls,crypto",
    "flags": "low_delay",
    "probesize": "200000",
    "analyzeduration": "1",  # 0 would be the default of 5 s
    "fpsprobesize": "0",
    "user_agent": "Lookout",
}


def open_rtsp(
    source: Source, hosts: HostRules, *, silence_s: float, stop: StopSignal
) -> ContainerConnection:
    """Connect to a camera.

    Raises:
        SourceNotPermitted: Its host is not, or not any more.
        SourceError: It cannot be reached, refuses, or sends no video.
    """
    url = source.url_at(hosts.reach(source.host, source.port))
    try:
        container = av.open(
            url,
            format="rtsp",
            options=OPTIONS | {"timeout": str(int(silence_s * 1e6))},
            metadata_errors="replace",
            timeout=(OPEN_S, READ_SPAN_S),
        )
    except av.error.FFmpegError as exc:
        error = source_error(exc)
        if isinstance(error, SourceStalled):
            error = SourceUnreachable(error.message)
        raise error from None
    return connect(container, silence_s=silence_s, stop=stop)
