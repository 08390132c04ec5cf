"""Reading live sources from checked addresses."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from contracts.errors import SourceError, SourceNotPermitted, SourceStalled, SourceUnreachable
from contracts.web import WebAnswer
from media.addresses import AddressRules
from media.web_client import FAILURES, GuardedWebClient
from tests.media.conftest import open_descriptors
from tests.media.http_hosts import (
    Handler,
    Host,
    redirect,
    redirect_at_length,
    respond,
    say_nothing,
    serving,
)

BODY = bytes(range(256)) * 1000


def two_parts(handler: Handler) -> None:
    """Send a part, wait until the host stops, and never end."""
    respond(b"first", Content_Length="")(handler)
    handler.stop.wait()


@pytest.fixture
def host() -> Iterator[Host]:
    routes = {
        "/good": respond(BODY, Content_Type="video/mp4", X_Seen="a"),
        "/chunk": respond(
            b"5\r\nhello\r\n0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked"
        ),
        "/404": respond(b"nothing", 404),
        "/again": redirect("/good"),
        "/loop": redirect("/loop"),
        "/wordy": redirect_at_length("/good"),
        "/inside": redirect("http://127.0.0.2/good"),
        "/file": redirect("file:///etc/passwd"),
        "/nowhere": redirect("http://127.0.0.1:1/"),
        "/cookie": respond(b"x", 302, Location="/good", Set_Cookie="a=b"),
        "/parts": two_parts,
        "/silent": say_nothing,
    }
    with serving(routes) as host:
        yield host


@pytest.fixture
def client() -> GuardedWebClient:
    return GuardedWebClient(AddressRules.parse(["127.0.0.1"]))


def get(client: GuardedWebClient, url: str, timeout_s: float = 60, **headers: str) -> WebAnswer:
    return client.get(url, headers=headers, timeout_s=timeout_s)


def whole(answer: WebAnswer) -> bytes:
    content = b""
    while part := answer.read(1000):
        assert len(part) <= 1000
        content += part
    answer.close()
    return content


@pytest.mark.parametrize(
    ("path", "body"), [("/good", BODY), ("/again", BODY), ("/wordy", BODY), ("/chunk", b"hello")]
)
def test_a_body_is_read_as_it_comes(
    client: GuardedWebClient, host: Host, path: str, body: bytes
) -> None:
    assert whole(get(client, host.url(path))) == body


def test_an_answer_says_where_it_came_from(client: GuardedWebClient, host: Host) -> None:
    answer = get(client, host.url("/again"))
    answer.close()
    assert (answer.url, answer.status) == (host.url("/good"), 200)
    assert answer.headers["content-type"] == "video/mp4"


def test_any_status_is_an_answer(client: GuardedWebClient, host: Host) -> None:
    answer = get(client, host.url("/404"))
    assert (answer.status, whole(answer)) == (404, b"nothing")


def test_what_has_come_is_not_kept_waiting(client: GuardedWebClient, host: Host) -> None:
    answer = get(client, host.url("/parts"))
    assert answer.read(1 << 16) == b"first"
    answer.close()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/inside", SourceNotPermitted),
        ("/file", SourceNotPermitted),
        ("/loop", SourceUnreachable),
        ("/nowhere", SourceUnreachable),
    ],
)
def test_redirects_go_only_where_they_may(
    client: GuardedWebClient, host: Host, path: str, error: type[SourceError]
) -> None:
    with pytest.raises(error) as caught:
        get(client, host.url(path))
    assert "127.0.0" not in str(caught.value)


def test_headers_are_sent_but_no_login_to_another_host(client: GuardedWebClient) -> None:
    with serving({"/": respond(b"")}) as other, serving({"/": redirect(other.url("/"))}) as host:
        get(client, host.url("/"), Authorization="Basic x", Range="bytes=1-2").close()
        assert host.requests[0][1]["authorization"] == "Basic x"
        assert "authorization" not in other.requests[0][1]
        assert other.requests[0][1]["range"] == "bytes=1-2"


def test_no_cookie_is_kept(client: GuardedWebClient, host: Host) -> None:
    get(client, host.url("/cookie")).close()
    assert all("cookie" not in headers for _, headers in host.requests)


def test_a_silent_host_is_waited_for_no_longer_than_told(
    client: GuardedWebClient, host: Host
) -> None:
    with pytest.raises(SourceStalled):
        get(client, host.url("/silent"), timeout_s=0.3)
    answer = get(client, host.url("/parts"), timeout_s=0.3)
    answer.read(1 << 16)
    with pytest.raises(SourceStalled):
        answer.read(1 << 16)
    answer.close()


def test_a_read_that_blocks_ends_when_somebody_hangs_up(
    client: GuardedWebClient, host: Host
) -> None:
    answer = get(client, host.url("/parts"))
    answer.read(1 << 16)
    ended = threading.Event()

    def read() -> None:
        try:
            answer.read(1 << 16)
        except SourceError:
            pass
        finally:
            ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    answer.hang_up()
    assert ended.wait(30)
    reader.join(30)
    answer.close()
    answer.close()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://169.254.169.254/x"]
)
def test_an_address_that_is_not_allowed_is_refused_without_a_look(url: str) -> None:
    with pytest.raises(SourceNotPermitted, match="VLM_MEDIA_ALLOW"):
        GuardedWebClient(AddressRules.parse([])).check(url)


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "http://127.0.0.1/", "https://a.example/"])
def test_other_urls_may_be_asked(client: GuardedWebClient, url: str) -> None:
    client.check(url)


def test_a_certificate_that_nobody_trusts_is_refused(
    client: GuardedWebClient, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=camera.example", "-keyout", str(path)]
    made = subprocess.run([*command, "-out", "-"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + made.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with (
        serving({"/": respond(b"")}, context) as host,
        pytest.raises(SourceUnreachable, match="certificate"),
    ):
        get(client, host.url("/"))


def test_nothing_stays_open(client: GuardedWebClient, host: Host) -> None:
    def once() -> int:
        for path in ("/good", "/again", "/404", "/chunk"):
            whole(get(client, host.url(path)))
        for path in ("/inside", "/nowhere"):
            with pytest.raises(SourceError):
                get(client, host.url(path))
        return open_descriptors()

    first = once()
    assert min(once() for _ in range(3)) <= first


def test_every_error_of_requests_is_translated() -> None:
    known = tuple(theirs for theirs, _, _ in FAILURES)
    assert issubclass(requests.exceptions.RequestException, known)
    for index, (theirs, _, _) in enumerate(FAILURES):
        assert not any(issubclass(theirs, before) for before, _, _ in FAILURES[:index])
