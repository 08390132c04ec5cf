"""Reads live sources from checked addresses: one GET at a time, its body as it comes, without end.

Connections, redirects and TLS are those of downloads (``media.fetch``); there is no cap on bytes or
time, because a camera never ends. Thread-safe; messages never hold a URL or an address.
"""

import contextlib
import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as TimeoutException

from contracts.errors import SourceError, SourceNotPermitted, SourceStalled, SourceUnreachable
from contracts.web import WebAnswer
from media.addresses import AddressRefused, AddressRules
from media.guarded_http import guarded_session

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
NOT_ALLOWED = "the host is not allowed: expected a public one or one in VLM_MEDIA_ALLOW"

T = TypeVar("T")

# Most specific first. Foreign texts hold URLs and addresses, so none is passed on.
FAILURES: tuple[tuple[type[Exception], type[SourceError], str], ...] = (
    (AddressRefused, SourceNotPermitted, NOT_ALLOWED),
    (requests.exceptions.SSLError, SourceUnreachable, "the host's TLS certificate is not valid"),
    (requests.exceptions.ConnectTimeout, SourceUnreachable, "the host did not answer in time"),
    (requests.exceptions.Timeout, SourceStalled, "the host did not answer in time"),
    (requests.exceptions.RequestException, SourceUnreachable, "the host cannot be reached"),
    (TimeoutException, SourceStalled, "the host sent nothing for too long"),
    (HTTPError, SourceUnreachable, "the connection broke"),
    (ValueError, SourceUnreachable, "the host cannot be reached"),
    (OSError, SourceUnreachable, "the connection broke"),
)


class Line:
    """The socket of one request, so that another thread can hang up."""

    def __init__(self, rules: AddressRules, timeout_s: float) -> None:
        self._rules = rules
        self._timeout_s = timeout_s
        self._control: socket.socket | None = None

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to one of the checked addresses of a host."""
        error: OSError = OSError("no address")
        for address in self._rules.resolve(host, port):
            try:
                opened = socket.create_connection((str(address), port), self._timeout_s)
            except OSError as exc:
                error = exc
            else:
                self._control = opened.dup()  # TLS takes the descriptor away from `opened`
                return opened
        raise error

    def hang_up(self) -> None:
        """Shut the connection down; whoever reads from it is let go."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        if self._control is not None:
            self._control.close()


class LiveAnswer:
    """Implements ``contracts.web.WebAnswer``."""

    def __init__(self, response: requests.Response, session: requests.Session, line: Line) -> None:
        self.url = response.url
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._session = session
        self._line = line

    def read(self, max_bytes: int) -> bytes:
        """Read what has come; see ``WebAnswer``."""
        return _translated(lambda: self._response.raw.read1(max_bytes, decode_content=False) or b"")

    def hang_up(self) -> None:
        """Have a blocked ``read`` on another thread end."""
        self._line.hang_up()

    def close(self) -> None:
        """Give back what it holds; on the thread that reads."""
        self._response.close()
        self._session.close()
        self._line.close()


class GuardedWebClient:
    """Implements ``contracts.web.WebClient``."""

    def __init__(self, rules: AddressRules, *, verify: bool | str = True) -> None:
        self._rules = rules
        self._verify = verify

    def check(self, url: str) -> None:
        """Refuse what can be refused without looking up the host."""
        host = urlsplit(url).hostname or ""
        with contextlib.suppress(ValueError):
            if not self._rules.allows(ip_address(host)):
                raise SourceNotPermitted(NOT_ALLOWED)

    def get(self, url: str, *, headers: Mapping[str, str], timeout_s: float) -> WebAnswer:
        """Ask for a URL, and for what it redirects to."""
        first = urlsplit(url)
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https"):
                raise SourceNotPermitted("it leads to what is neither http nor https")
            is_same = parts[:2] == first[:2]  # scheme, host and port
            sent = {n: v for n, v in headers.items() if is_same or n.lower() != "authorization"}
            answer = self._ask(url, sent, timeout_s)
            if answer.status not in REDIRECTS:
                return answer
            url = urljoin(url, answer.headers.get("location", ""))
            answer.close()
        raise SourceUnreachable(f"it redirects more than {MAX_REDIRECTS} times")

    def _ask(self, url: str, headers: Mapping[str, str], timeout_s: float) -> LiveAnswer:
        line = Line(self._rules, timeout_s)
        session = guarded_session(line.connect, self._verify)
        try:
            response = _translated(
                lambda: session.get(
                    url, headers=headers, stream=True, allow_redirects=False, timeout=timeout_s
                )
            )
        except BaseException:
            session.close()
            line.close()
            raise
        return LiveAnswer(response, session, line)


def _translated(call: Callable[[], T]) -> T:
    """The call's value, or an error of ours without a cause that would print the URL."""
    try:
        return call()
    except tuple(theirs for theirs, _, _ in FAILURES) as exc:
        ours, message = next((o, m) for theirs, o, m in FAILURES if isinstance(exc, theirs))
        raise ours(message) from None
