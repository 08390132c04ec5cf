"""A camera's password is told to the camera and to nobody else, whatever goes wrong."""

import logging
import traceback

import pytest

from contracts.errors import SourceError
from contracts.streams import StreamState
from live.sources.openers import PermittedSources
from live.sources.rules import HostRules, SourceRules
from live.sources.source import parse_source
from live.sources.stop_signal import StopSignal
from media.addresses import AddressRules
from media.web_client import GuardedWebClient
from tests.live.registries import config, registry
from tests.live.rtsp_cameras import rtsp_camera
from tests.live.web_cameras import basic, mjpeg
from tests.media.http_hosts import respond, serving

SECRET = "open-sesame"
LOGIN = f"lookout:{SECRET}@"
RULES = SourceRules(
    HostRules.parse(("*",)), None, GuardedWebClient(AddressRules.parse(("127.0.0.1",)))
)


class Heard:
    """All that was logged or printed."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog, self._capfd = caplog, capfd

    def text(self) -> str:
        printed = self._capfd.readouterr()
        return self._caplog.text + printed.out + printed.err


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Heard:
    return Heard(caplog, capfd)


def failure(url: str) -> str:
    """What is said of a source that cannot be opened, tracebacks and all."""
    source = parse_source(config("cam", url))
    try:
        PermittedSources(RULES)(source, silence_s=5, stop=StopSignal())
    except SourceError as exc:
        return "".join(traceback.format_exception(exc)) + repr(exc) + repr(source)
    raise AssertionError("it was opened")


@pytest.mark.parametrize("path", ["/live", "/nothing"])
def test_rtsp_errors_do_not_tell(heard: Heard, path: str) -> None:
    with rtsp_camera(passwords=("another",)) as camera:
        assert SECRET not in failure(camera.url(path, login=LOGIN))
    assert SECRET not in failure(f"rtsp://{LOGIN}127.0.0.1:1/")
    assert SECRET not in failure(f"rtsp://{LOGIN}no-such-host.invalid/")
    assert SECRET not in heard.text()


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_web_errors_do_not_tell(heard: Heard, status: int) -> None:
    asks = {"WWW_Authenticate": 'Basic realm="camera"'}
    with serving({"/": respond(b"hello", status, **asks)}) as host:
        url = host.url(f"/?token={SECRET}").replace("http://", f"http://{LOGIN}")
        assert SECRET not in failure(url)
    assert SECRET not in failure(f"http://{LOGIN}127.0.0.1:1/")
    assert SECRET not in failure(f"http://{LOGIN}no-such-host.invalid/")
    assert SECRET not in heard.text()


def test_a_stream_that_runs_does_not_tell(heard: Heard) -> None:
    with rtsp_camera(passwords=(SECRET,)) as camera, registry() as (streams, changes):
        streams.add(config("cam", camera.url(login=LOGIN)))
        changes.wait_for("cam", StreamState.RUNNING)
        assert SECRET not in repr(streams.status("cam"))
        assert streams.status("cam").url == f"rtsp://***@127.0.0.1:{camera.port}/live"
    assert SECRET not in heard.text() + repr(changes.seen)


def test_a_web_stream_that_runs_does_not_tell(heard: Heard) -> None:
    login = "Basic bG9va291dDpvcGVuLXNlc2FtZQ=="
    with (
        serving({"/cam": basic(mjpeg(), login)}) as host,
        registry(open_source=PermittedSources(RULES), web=RULES.web) as (streams, changes),
    ):
        url = host.url(f"/cam?key={SECRET}").replace("http://", f"http://{LOGIN}")
        streams.add(config("cam", url))
        changes.wait_for("cam", StreamState.RUNNING)
        assert SECRET not in repr(streams.status("cam"))
    assert SECRET not in heard.text() + repr(changes.seen)
