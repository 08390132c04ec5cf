"""Downloads media from strangers' hosts, safely.

Each connection, also after a redirect, goes to an address that ``media.addresses`` allowed. Bytes
and total time are capped while the body comes in; a host that sends a byte a second is cut off at
the total time, because cutting off means closing the socket from outside. The body goes to an
unnamed temporary file. Nothing of the environment (proxies, netrc, certificate variables) is used.

Messages never hold the URL, an address or a path: a URL may hold a password.
"""

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urljoin

import requests

from contracts.errors import DownloadFailed, InvalidUrl, MediaKind, ShuttingDown, UrlNotAllowed
from media.addresses import Address, AddressRules
from media.guarded_http import check_status, guarded_session, translate
from media.inline import is_remote, too_large
from media.limits import FetchLimits, IfVideo
from media.sniff import HEAD_BYTES, Content, sniff

MAX_URL_CHARS = 8192
MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 16
MAX_DOWNLOADS = 32
STOPPING = "the service is stopping"
REDIRECTS = (301, 302, 303, 307, 308)


class Aborted(Exception):
    """Nobody waits for this download any more."""


@dataclass(slots=True, eq=False)
class Transfer:
    """One download; ``run`` blocks in a thread, ``abort`` ends it from another."""

    url: str
    kind: MediaKind
    limits: FetchLimits
    if_video: IfVideo | None
    rules: AddressRules
    verify: bool | str = True
    deadline_s: float = field(init=False)
    _started_s: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _control: socket.socket | None = None
    _file: BinaryIO | None = None
    _is_aborted: bool = False

    def __post_init__(self) -> None:
        self.deadline_s = self._started_s + self.limits.total_s

    def run(self) -> BinaryIO:
        """Download into a temporary file, which the caller closes.

        Raises:
            MediaError: The URL, the host or the body is not acceptable.
            Aborted: ``abort`` was called.
        """
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # handed on; closed on any error
        try:
            self._follow(file)
            file.seek(0)
            self._hand_over(file)
        except BaseException:
            file.close()
            raise
        finally:
            self._control_socket(None)
        return file

    def abort(self) -> None:
        """End the download at once; its file, if it is complete, is closed."""
        with self._lock:
            self._is_aborted = True
            if self._control is not None:
                with contextlib.suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)
            if self._file is not None:
                self._file.close()

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to one of the checked addresses of a host.

        Raises:
            Aborted: Nobody waits for the download, so not even the name is looked up.
        """
        self._check_abort()
        error: OSError = OSError("no address")
        addresses = self.rules.resolve(host, port)
        for tried, address in enumerate(addresses):
            left_s = self.deadline_s - time.monotonic()
            try:
                return self._connect_to(address, port, left_s / (len(addresses) - tried))
            except OSError as exc:
                error = exc
        raise error

    def _connect_to(self, address: Address, port: int, time_out_s: float) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(max(0.001, time_out_s))
            self._control_socket(opened.dup())  # TLS takes the descriptor away from `opened`
            opened.connect((str(address), port))
        except BaseException:
            opened.close()
            raise
        return opened

    def _follow(self, file: BinaryIO) -> None:
        """Ask for the URL and for what it redirects to, each on a connection of its own."""
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            check_url(url, self.kind)
            with (
                guarded_session(self.connect, self.verify) as session,
                session.get(
                    url, stream=True, allow_redirects=False, timeout=self.limits.total_s
                ) as response,
            ):
                if response.status_code not in REDIRECTS:
                    check_status(response.status_code, self.kind)
                    self._receive(response, file)
                    return
                url = urljoin(url, response.headers.get("Location", ""))
        raise InvalidUrl(f"the URL redirects more than {MAX_REDIRECTS} times", kind=self.kind)

    def _receive(self, response: requests.Response, file: BinaryIO) -> None:
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            message = "the host sent a compressed body although none was asked for"
            raise DownloadFailed(message, kind=self.kind)
        declared = response.headers.get("Content-Length", "")
        head = b""
        limits = self.limits
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            self._check_abort()
            if len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
                limits = self._limits_for(sniff(head))
                if declared.isdigit() and int(declared) > limits.max_bytes:
                    raise too_large(limits.max_bytes, self.kind)
            if file.tell() + len(chunk) > limits.max_bytes:
                raise too_large(limits.max_bytes, self.kind)
            file.write(chunk)

    def _control_socket(self, control: socket.socket | None) -> None:
        """Keep, until the next one, what ``abort`` shuts the connection down with."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            self._control = control
            if control is not None:
                self._check_abort()

    def _limits_for(self, content: Content) -> FetchLimits:
        """The limits of a video, where one may come instead of a picture."""
        if self.if_video is None or content.family != "video":
            return self.limits
        self.if_video.tell()
        self.deadline_s = self._started_s + self.if_video.limits.total_s
        return self.if_video.limits

    def _hand_over(self, file: BinaryIO) -> None:
        with self._lock:
            self._check_abort()
            self._file = file

    def _check_abort(self) -> None:
        if self._is_aborted:
            raise Aborted


class Fetcher:
    """Runs transfers in threads of its own. Belongs to one event loop."""

    def __init__(self, rules: AddressRules, *, verify: bool | str = True) -> None:
        self._rules = rules
        self._verify = verify
        self._threads = ThreadPoolExecutor(MAX_DOWNLOADS, thread_name_prefix="fetch")
        self._slots = asyncio.Semaphore(MAX_DOWNLOADS)
        self._transfers: set[Transfer] = set()
        self._is_closed = False

    async def fetch(
        self,
        url: str,
        kind: MediaKind,
        limits: FetchLimits,
        *,
        if_video: IfVideo | None = None,
    ) -> BinaryIO:
        """Download a URL into an unnamed temporary file, which the caller closes.

        The time of the download does not begin before one of the threads is free for it.

        Args:
            url: http or https.
            kind: What errors call it.
            limits: Caps of this download.
            if_video: What holds instead when the body turns out to be a video.

        Raises:
            MediaError: The URL, the host or the body is not acceptable.
        """
        check_url(url, kind)
        async with self._slots:
            if self._is_closed:
                raise ShuttingDown(STOPPING)
            transfer = Transfer(url, kind, limits, if_video, self._rules, self._verify)
            return await self._run(transfer)

    async def _run(self, transfer: Transfer) -> BinaryIO:
        self._transfers.add(transfer)
        future = asyncio.get_running_loop().run_in_executor(
            self._threads, translate(transfer.run, transfer.kind)
        )
        try:
            await _wait(future, transfer)
            return future.result()
        except BaseException as exc:
            transfer.abort()
            future.add_done_callback(_retrieve)
            if self._is_closed and isinstance(exc, Exception):
                raise ShuttingDown(STOPPING) from None
            raise
        finally:
            self._transfers.discard(transfer)

    async def close(self) -> None:
        """End every download."""
        self._is_closed = True
        for transfer in self._transfers:
            transfer.abort()
        await asyncio.to_thread(self._threads.shutdown)


async def _wait(future: "asyncio.Future[BinaryIO]", transfer: Transfer) -> None:
    """Until it is done or its deadline, which moves when a video comes, has passed."""
    while not future.done():
        left_s = transfer.deadline_s - time.monotonic()
        if left_s <= 0:
            message = f"the host took longer than {transfer.limits.total_s:g} s"
            raise DownloadFailed(message, kind=transfer.kind)
        await asyncio.wait([future], timeout=left_s)


def _retrieve(future: "asyncio.Future[BinaryIO]") -> None:
    """Take an abandoned download's exception, which nobody will ask for."""
    if not future.cancelled():
        future.exception()


def check_url(url: str, kind: MediaKind) -> None:
    """Refuse a URL that is too long or not http(s).

    Raises:
        InvalidUrl, UrlNotAllowed: As they say.
    """
    if len(url) > MAX_URL_CHARS:
        message = f"the URL has {len(url)} characters; expected at most {MAX_URL_CHARS}"
        raise InvalidUrl(message, kind=kind)
    if not is_remote(url, kind):
        raise UrlNotAllowed("expected an http or https URL", kind=kind)
