"""Live streams as RTSP, where the operator wants that. Belongs to one event loop."""

import logging

import psutil

from contracts.settings import Settings, SettingsError
from contracts.streams import LiveStreams
from live.previews.overlay_lines import OverlayLines
from live.previews.rtsp_pictures import RtspPictures
from live.rtsp_server.server import RtspServer
from live.seats import Seats

logger = logging.getLogger(__name__)


def rtsp_output(
    settings: Settings, streams: LiveStreams, lines: OverlayLines, seats: Seats
) -> RtspServer:
    """A server of annotated pictures that does not listen yet; keys of the API are its passwords.

    Args:
        settings: Who may watch.
        streams: What can be seen.
        lines: Written into the pictures.
        seats: Of all who watch, over HTTP as well.
    """
    passwords = [key.get_secret_value() for key in settings.api_keys]
    return RtspServer(RtspPictures(streams, lines).find, seats=seats, passwords=passwords)


def http_host() -> str | None:
    """The address that this process listens on already, for HTTP.

    ``None``: every one; or there are several, and it cannot be told.
    """
    connections = psutil.Process().net_connections("tcp")
    hosts = {str(one.laddr[0]) for one in connections if one.status == psutil.CONN_LISTEN}
    host = hosts.pop() if len(hosts) == 1 else None
    return None if host == "::" else host


async def listen(server: RtspServer, host: str | None, port: int) -> None:
    """Listen on the port of the settings; 0 is none, and ``None`` every address.

    Raises:
        SettingsError: The port cannot be had.
    """
    if not port:
        return
    try:
        await server.start(host, port)
    except OSError as exc:
        why = exc.strerror or "the address cannot be used"
        raise SettingsError(f"VLM_RTSP_PORT: cannot listen on port {port}: {why}") from exc
    logger.info("live streams can be played at rtsp://%s:%d/out", host or "0.0.0.0", port)
