"""``requests`` with connections that go only where they may, and its errors in our words.

Where a connection goes is decided by a function that opens the socket; the URL's name stays for the
Host header and for TLS. Thread-safe as far as ``requests`` is: one session, one thread.
"""

import functools
import logging
import socket
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import BinaryIO

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError
from urllib3.exceptions import TimeoutError as TimeoutException

from contracts.errors import DownloadFailed, InvalidUrl, MediaError, MediaKind, UrlNotAllowed
from media.addresses import AddressRefused

HEADERS = {"User-Agent": "Lookout", "Accept": "*/*", "Accept-Encoding": "identity"}
NOT_ALLOWED = "the URL's host is not allowed: expected a public host or one in VLM_MEDIA_ALLOW"
REFUSED_FOR_NOW = (408, 429)

# Its lines, warnings too, hold whole URLs, which may hold a password.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

Connect = Callable[[str, int], socket.socket]


def guarded_session(connect: Connect, verify: bool | str) -> requests.Session:
    """A session that connects by ``connect`` and takes nothing from the environment.

    Neither proxies nor netrc nor certificate variables are read, no cookie is kept, nothing is
    retried. ``verify`` is what ``requests`` calls so.
    """
    session = SingleHopSession()
    session.trust_env = False
    session.verify = verify
    session.headers.update(HEADERS)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("http://", GuardedAdapter(connect))
    session.mount("https://", GuardedAdapter(connect))
    return session


def check_status(status: int, kind: MediaKind) -> None:
    """Refuse any answer but success.

    Raises:
        InvalidUrl: The host says that there is no such thing for us.
        DownloadFailed: The host has trouble of its own.
    """
    if 200 <= status < 300:
        return
    message = f"the URL's host answered with status {status}"
    if 400 <= status < 500 and status not in REFUSED_FOR_NOW:
        raise InvalidUrl(message, kind=kind)
    raise DownloadFailed(message, kind=kind)


# Most specific first. Foreign texts hold URLs and addresses, so none is passed on.
FAILURES: tuple[tuple[type[Exception], type[MediaError], str], ...] = (
    (AddressRefused, UrlNotAllowed, NOT_ALLOWED),
    (requests.exceptions.InvalidURL, InvalidUrl, "expected a URL of the form https://host/path"),
    (requests.exceptions.InvalidSchema, UrlNotAllowed, "expected an http or https URL"),
    (requests.exceptions.MissingSchema, InvalidUrl, "expected a URL with http:// or https://"),
    (requests.exceptions.SSLError, DownloadFailed, "the host's TLS certificate is not valid"),
    (requests.exceptions.Timeout, DownloadFailed, "the host did not answer in time"),
    (requests.exceptions.ConnectionError, DownloadFailed, "the host could not be reached"),
    (requests.exceptions.RequestException, DownloadFailed, "the download broke off"),
    (TimeoutException, DownloadFailed, "the host did not answer in time"),
    (HTTPError, DownloadFailed, "the download broke off"),
    (UnicodeError, InvalidUrl, "expected a URL of the form https://host/path"),
    (ValueError, InvalidUrl, "expected a URL of the form https://host/path"),
    (OSError, DownloadFailed, "the host could not be reached"),
)


def translate(run: Callable[[], BinaryIO], kind: MediaKind) -> Callable[[], BinaryIO]:
    """Make a transfer raise errors of ours only, without a cause that would print the URL."""

    @functools.wraps(run)
    def translated() -> BinaryIO:
        try:
            return run()
        except tuple(theirs for theirs, _, _ in FAILURES) as exc:
            ours, message = next((o, m) for theirs, o, m in FAILURES if isinstance(exc, theirs))
            raise ours(message, kind=kind) from None

    return translated


class SingleHopSession(requests.Session):
    """A session that knows of no redirects.

    Even where it may not follow one, ``requests`` reads the redirect's whole body, unpacked and
    without a bound, to prepare the next request.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none; whoever asks follows by hand."""


class GuardedAdapter(HTTPAdapter):
    """Lets requests connect through a function of ours, and retry nothing."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        """Make connections that know where they may go; the URL's name stays for Host and TLS."""
        self.poolmanager = PoolManager(num_pools=1, maxsize=1)
        self.poolmanager.pool_classes_by_scheme = guarded_pools(self._connect)


def guarded_pools(connect: Connect) -> dict[str, type[HTTPConnectionPool]]:
    """Pools of urllib3 whose connections are opened by ``connect``."""

    def open_socket(connection: HTTPConnection) -> socket.socket:
        try:
            return connect(connection.host, connection.port)
        except socket.gaierror as exc:
            raise NameResolutionError(connection.host, connection, exc) from exc
        except OSError as exc:
            raise NewConnectionError(connection, "no connection") from exc

    class GuardedConnection(HTTPConnection):
        _new_conn = open_socket

    class GuardedTlsConnection(HTTPSConnection):
        _new_conn = open_socket

    class GuardedPool(HTTPConnectionPool):
        ConnectionCls = GuardedConnection

    class GuardedTlsPool(HTTPSConnectionPool):
        ConnectionCls = GuardedTlsConnection

    return {"http": GuardedPool, "https": GuardedTlsPool}
