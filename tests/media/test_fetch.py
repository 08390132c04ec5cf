import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import requests
import urllib3.exceptions

from contracts.errors import (
    DownloadFailed,
    FileTooLarge,
    InvalidUrl,
    MediaError,
    ShuttingDown,
    TooManyMedia,
    UrlNotAllowed,
)
from media.addresses import Address, AddressRules
from media.fetch import MAX_DOWNLOADS, Aborted, Fetcher, Transfer
from media.guarded_http import FAILURES
from media.limits import FetchLimits, IfVideo
from tests.media.conftest import open_descriptors
from tests.media.http_hosts import (
    Host,
    drip,
    drip_headers,
    endless,
    redirect,
    redirect_at_length,
    respond,
    say_nothing,
    serving,
)

BODY = bytes(range(256)) * 1000
MEGABYTE = 1 << 20
ROOMY = FetchLimits(MEGABYTE, 120)
HURRIED = FetchLimits(MEGABYTE, 0.5)
SECRET = "hunter2"


@pytest.fixture
def host() -> Iterator[Host]:
    routes = {
        "/good": respond(BODY),
        "/chunk": respond(
            b"5\r\nhello\r\n0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked"
        ),
        "/again": redirect("/good"),
        "/loop": redirect("/loop"),
        "/wordy": redirect_at_length("/good"),
        "/inside": redirect("http://127.0.0.2/good"),
        "/file": redirect("file:///etc/passwd"),
        "/nowhere": respond(b"", 302),
        "/500": respond(b"trouble", 500),
        "/408": respond(b"", 408),
        "/429": respond(b"", 429),
        "/410": respond(b"", 410),
        "/short": respond(BODY, Content_Length=str(len(BODY) + 10)),
        "/long": respond(BODY, Content_Length="5"),
        "/gzip": respond(gzip.compress(bytes(64 * MEGABYTE)), Content_Encoding="gzip"),
        "/endless": endless,
        "/drip": drip,
        "/drip-headers": drip_headers,
        "/silent": say_nothing,
        "/cookie": respond(b"x", 302, Location="/seen", Set_Cookie="a=b"),
        "/seen": respond(b"x"),
    }
    with serving(routes) as host:
        yield host


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(AddressRules.parse(["127.0.0.1"]))
    yield fetcher
    await fetcher.close()


async def fetch(fetcher: Fetcher, url: str, limits: FetchLimits = ROOMY) -> bytes:
    with await fetcher.fetch(url, "video", limits) as file:
        return file.read()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/good", BODY), ("/again", BODY), ("/chunk", b"hello"), ("/long", BODY[:5])],
)
async def test_what_a_host_sends_arrives(
    fetcher: Fetcher, host: Host, path: str, body: bytes
) -> None:
    assert await fetch(fetcher, host.url(path)) == body


@pytest.mark.parametrize(
    ("path", "error", "needle"),
    [
        ("/missing", InvalidUrl, "404"),
        ("/410", InvalidUrl, "410"),
        ("/408", DownloadFailed, "408"),
        ("/429", DownloadFailed, "429"),
        ("/500", DownloadFailed, "500"),
        ("/loop", InvalidUrl, "more than 5 times"),
        ("/nowhere", InvalidUrl, "redirects"),
        ("/inside", UrlNotAllowed, "VLM_MEDIA_ALLOW"),
        ("/file", UrlNotAllowed, "http"),
        ("/short", DownloadFailed, "broke off"),
        ("/endless", FileTooLarge, "1 MB"),
        ("/gzip", DownloadFailed, "compressed"),
    ],
)
async def test_what_goes_wrong_has_its_own_error(
    fetcher: Fetcher, host: Host, path: str, error: type[MediaError], needle: str
) -> None:
    with pytest.raises(error, match=needle):
        await fetch(fetcher, host.url(path))


async def test_the_time_of_a_download_begins_when_it_does(fetcher: Fetcher, host: Host) -> None:
    slow = [
        asyncio.create_task(fetch(fetcher, host.url("/silent"), HURRIED))
        for _ in range(MAX_DOWNLOADS)
    ]
    await asyncio.sleep(0)
    assert await fetch(fetcher, host.url("/good"), FetchLimits(MEGABYTE, 0.45)) == BODY
    ended = await asyncio.gather(*slow, return_exceptions=True)
    assert all(isinstance(one, DownloadFailed) for one in ended)


async def test_the_body_of_a_redirect_is_not_read(fetcher: Fetcher, host: Host) -> None:
    assert await fetch(fetcher, host.url("/wordy"), FetchLimits(MEGABYTE, 10)) == BODY


@pytest.mark.parametrize("path", ["/drip", "/drip-headers", "/silent"])
async def test_a_slow_host_is_cut_off_at_the_total_time(
    fetcher: Fetcher, host: Host, path: str
) -> None:
    with pytest.raises(DownloadFailed, match=r"longer than 0\.5 s|in time"):
        await fetch(fetcher, host.url(path), HURRIED)


async def test_a_declared_size_above_the_cap_is_refused_with_the_first_byte(
    fetcher: Fetcher,
) -> None:
    with (
        serving({"/": respond(b"x" * 100, Content_Length=str(10**12))}) as host,
        pytest.raises(FileTooLarge),
    ):
        await fetch(fetcher, host.url("/"))


async def test_a_cancelled_download_ends_at_once_and_leaves_nothing(host: Host) -> None:
    descriptors, threads = open_descriptors(), threading.active_count()
    fetcher = Fetcher(AddressRules.parse(["127.0.0.1"]))
    task = asyncio.create_task(fetch(fetcher, host.url("/drip")))
    async with asyncio.timeout(120):
        while not host.requests:  # noqa: ASYNC110  # another thread's doing
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await fetcher.close()
    async with asyncio.timeout(120):  # the host notices that we left
        while threading.active_count() > threads + 1 or open_descriptors() > descriptors:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_closing_ends_downloads(host: Host) -> None:
    fetcher = Fetcher(AddressRules.parse(["127.0.0.1"]))
    task = asyncio.create_task(fetch(fetcher, host.url("/drip")))
    async with asyncio.timeout(120):
        while not host.requests:  # noqa: ASYNC110  # another thread's doing
            await asyncio.sleep(0.001)
    await fetcher.close()
    with pytest.raises(ShuttingDown):
        await task
    with pytest.raises(ShuttingDown):
        await fetch(fetcher, host.url("/good"))


async def test_credentials_go_to_their_host_and_no_further(fetcher: Fetcher) -> None:
    with serving({"/": respond(b"x")}) as second:
        with serving({"/": redirect(second.url("/"))}) as first:
            url = first.url("/").replace("://", f"://user:{SECRET}@")
            assert await fetch(fetcher, url) == b"x"
            assert "authorization" in first.requests[0][1]
        assert "authorization" not in second.requests[0][1]


async def test_nothing_of_the_environment_is_used(
    fetcher: Fetcher, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert await fetch(fetcher, host.url("/good")) == BODY


async def test_cookies_are_not_kept(fetcher: Fetcher, host: Host) -> None:
    assert await fetch(fetcher, host.url("/cookie")) == b"x"
    assert all("cookie" not in headers for _, headers in host.requests)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.2:1/",
        f"http://user:{SECRET}@localhost:1/{SECRET}",
        f"http://user:{SECRET}@10.0.0.1/",
        f"http://user:{SECRET}@[::1]/",
    ],
)
async def test_a_private_host_is_refused_alike_whatever_is_there(
    fetcher: Fetcher, url: str
) -> None:
    public_only = Fetcher(AddressRules.parse([]))
    with pytest.raises(UrlNotAllowed) as caught:
        await fetch(public_only, url)
    assert caught.value.message == (
        "the URL's host is not allowed: expected a public host or one in VLM_MEDIA_ALLOW"
    )
    assert caught.value.__cause__ is None
    await public_only.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://", InvalidUrl),
        ("http://[half", InvalidUrl),
        ("http://host:99999999/", InvalidUrl),
        ("http://" + "x" * 300 + ".example/", MediaError),
        ("http://127.0.0.1/" + "x" * 9000, InvalidUrl),
        ("http://does-not-exist.invalid/", DownloadFailed),
        (f"http://user:{SECRET}@127.0.0.1:1/", DownloadFailed),
    ],
)
async def test_bad_urls_have_an_error_without_the_url(
    fetcher: Fetcher, url: str, error: type[MediaError]
) -> None:
    with pytest.raises(error) as caught:
        await fetch(fetcher, url)
    assert SECRET not in caught.value.message
    assert "127.0.0.1" not in caught.value.message


async def test_a_host_is_resolved_once_for_one_connection(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = socket.getaddrinfo

    def rebinding(name: str, *args: object, **kwargs: object) -> object:
        asked.append(name)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    fetcher = Fetcher(AddressRules.parse(["127.0.0.1"]))
    assert await fetch(fetcher, host.url("/good", host="rebinding.example")) == BODY
    assert asked == ["rebinding.example"]
    assert host.requests[0][1]["host"] == f"rebinding.example:{host.port}"
    await fetcher.close()


@pytest.mark.parametrize(
    ("head", "is_whole"), [(b"\x1aE\xdf\xa3", True), (b"\x89PNG\r\n\x1a\n", False)]
)
async def test_a_video_where_a_picture_was_expected_gets_a_videos_limits(
    fetcher: Fetcher, head: bytes, is_whole: bool
) -> None:
    body = head + bytes(3 * MEGABYTE)
    num_told = 0

    def told() -> None:
        nonlocal num_told
        num_told += 1

    with serving({"/": respond(body)}) as host:
        download = fetcher.fetch(
            host.url("/"), "image", ROOMY, if_video=IfVideo(FetchLimits(4 * MEGABYTE, 60), told)
        )
        if is_whole:
            with await download as file:
                assert file.read() == body
        else:
            with pytest.raises(FileTooLarge):
                await download
    assert bool(num_told) == is_whole


def test_an_aborted_transfer_looks_up_no_name() -> None:
    class Rules(AddressRules):
        def resolve(self, host: str, port: int) -> tuple[Address, ...]:
            raise AssertionError("looked up")

    transfer = Transfer("http://a.example/", "image", ROOMY, None, Rules(frozenset(), ()))
    transfer.abort()
    with pytest.raises(Aborted):
        transfer.run()


async def test_a_video_that_is_one_too_many_is_not_downloaded(fetcher: Fetcher) -> None:
    def refuse() -> None:
        raise TooManyMedia("one too many")

    video = respond(b"\x1aE\xdf\xa3" + bytes(60), Content_Length="100000")
    with serving({"/": video}) as host:
        if_video = IfVideo(FetchLimits(1 << 40, 60), refuse)
        with pytest.raises(TooManyMedia):
            await fetcher.fetch(host.url("/"), "image", ROOMY, if_video=if_video)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for media.example, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=media.example"]
    command += ["-addext", "subjectAltName=DNS:media.example", "-keyout", str(path)]
    made = subprocess.run([*command, "-out", "-"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + made.stdout)
    return path


@pytest.mark.parametrize(
    ("name", "is_trusted", "is_accepted"),
    [
        ("media.example", True, True),
        ("media.example", False, False),
        ("other.example", True, False),
    ],
)
async def test_tls_is_verified_for_the_name_in_the_url(
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    is_trusted: bool,
    is_accepted: bool,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    real = socket.getaddrinfo

    def loopback(host: str, *args: object, **kwargs: object) -> object:
        return real("127.0.0.1", *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", loopback)
    fetcher = Fetcher(
        AddressRules.parse(["127.0.0.1"]), verify=str(certificate) if is_trusted else True
    )
    with serving({"/": respond(BODY), "/drip": drip}, context) as host:
        if is_accepted:
            assert await fetch(fetcher, host.url("/", host=name)) == BODY
            with pytest.raises(DownloadFailed):
                await fetch(fetcher, host.url("/drip", host=name), HURRIED)
        else:
            with pytest.raises(DownloadFailed, match="certificate"):
                await fetch(fetcher, host.url("/", host=name))
    await fetcher.close()


def subclasses_of(cls: type[Exception]) -> set[type[Exception]]:
    found = {cls}
    for below in cls.__subclasses__():
        found |= subclasses_of(below)
    return found


def test_every_failure_of_the_libraries_has_an_error_of_ours() -> None:
    theirs = subclasses_of(requests.exceptions.RequestException)
    theirs |= subclasses_of(urllib3.exceptions.HTTPError)
    mapped = tuple(cls for cls, _, _ in FAILURES)
    assert all(issubclass(cls, mapped) for cls in theirs)
