"""The RTSP server as the settings want it."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.settings import Settings, SettingsError
from live.previews.overlay_lines import OverlayLines
from live.previews.rtsp_output import http_host, listen, rtsp_output
from live.rtsp_server.server import RtspServer
from live.seats import Seats
from tests.live.registries import registry


@pytest.fixture
def server(tmp_path: Path) -> RtspServer:
    with registry() as (streams, _):
        return rtsp_output(Settings(data_dir=tmp_path), streams, OverlayLines(), Seats(1))


async def test_nothing_listens_unless_a_port_is_named(server: RtspServer) -> None:
    before = http_host()
    await listen(server, "127.0.0.1", 0)
    assert http_host() == before
    await server.close()


async def test_a_port_that_is_taken_is_told(server: RtspServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"VLM_RTSP_PORT: cannot listen on port {port}: .*"):
            await listen(server, "127.0.0.1", port)
    await listen(server, "127.0.0.1", port)
    assert server.port == port
    await server.close()


LISTENING = """
import socket
from live.previews.rtsp_output import http_host

print(http_host())
with socket.create_server(("127.0.0.1", 0)):
    print(http_host())
    with socket.create_server(("127.0.0.2", 0)):
        print(http_host())
with socket.create_server(("::", 0), family=socket.AF_INET6):
    print(http_host())
"""


def test_the_address_is_that_of_the_http_server_where_there_is_one() -> None:
    told = subprocess.check_output([sys.executable, "-c", LISTENING], text=True)
    assert told.split() == ["None", "127.0.0.1", "None", "None"]
