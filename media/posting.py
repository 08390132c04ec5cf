"""Posts to hosts that strangers named, on connections that go only to addresses we allow.

The same rules as for downloads; a host that answers slowly is cut off at the total time by closing
the socket from outside. Redirects are not followed, answers' bodies not read.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from contracts.errors import DeliveryError
from media.addresses import AddressRefused, AddressRules
from media.guarded_http import guarded_session

MAX_POSTS = 1024
PORTS = {"http": 80, "https": 443}
NOT_ALLOWED = "the host is not allowed: expected a public host or one in VLM_MEDIA_ALLOW"
UNREACHABLE = "the host could not be reached, or did not answer in time"


@dataclass(slots=True, eq=False)
class Post:
    """One post; ``run`` blocks in a thread until it is answered or its time is over."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    rules: AddressRules
    verify: bool | str
    deadline_s: float
    _is_cut: bool = False
    _control: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> int:
        """Post; the answer's status.

        Raises:
            DeliveryError: No answer came.
        """
        timer = threading.Timer(max(0.0, self.deadline_s - time.monotonic()), self.cut)
        timer.start()
        try:
            status = self._post()
            if self._is_cut:  # headers that break off are whole to the standard library
                raise DeliveryError(UNREACHABLE)
            return status
        except AddressRefused:
            raise DeliveryError(NOT_ALLOWED) from None
        except (requests.RequestException, HTTPError, OSError, ValueError):
            raise DeliveryError(UNREACHABLE) from None
        finally:
            timer.cancel()
            self._hold(None)

    def cut(self) -> None:
        """Close the connection under the post."""
        with self._lock:
            self._is_cut = True
            if self._control is not None:
                with contextlib.suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)

    def _post(self) -> int:
        with (
            guarded_session(self._connect, self.verify) as session,
            session.post(
                self.url,
                data=self.body,
                headers=dict(self.headers),
                stream=True,
                allow_redirects=False,
                timeout=self._left_s(),
            ) as response,
        ):
            return response.status_code

    def _connect(self, host: str, port: int) -> socket.socket:
        error: OSError = OSError("no address")
        addresses = self.rules.resolve(host, port)
        for tried, address in enumerate(addresses):
            try:
                left_s = self._left_s() / (len(addresses) - tried)
                opened = socket.create_connection((str(address), port), timeout=left_s)
            except OSError as exc:
                error = exc
            else:
                self._hold(opened.dup())  # TLS takes the descriptor away from `opened`
                return opened
        raise error

    def _left_s(self) -> float:
        return max(0.001, self.deadline_s - time.monotonic())

    def _hold(self, control: socket.socket | None) -> None:
        with self._lock:
            if self._control is not None:
                self._control.close()
            self._control = control


class GuardedPoster:
    """Posts in threads of its own; as ``contracts.posting.CheckedPoster`` says."""

    def __init__(self, rules: AddressRules, *, verify: bool | str = True) -> None:
        self._rules = rules
        self._verify = verify
        self._threads = ThreadPoolExecutor(MAX_POSTS, thread_name_prefix="post")
        self._posts: set[Post] = set()

    async def check(self, url: str) -> None:
        """Refuse a URL that would be refused now."""
        host, port = _target(url)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._rules.resolve, host, port)
        except AddressRefused:
            raise DeliveryError(NOT_ALLOWED) from None
        except (OSError, UnicodeError):
            return  # it may be found later

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float
    ) -> int:
        """Post once."""
        _target(url)
        deadline_s = time.monotonic() + timeout_s
        post = Post(url, body, headers, self._rules, self._verify, deadline_s)
        self._posts.add(post)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, post.run)
        finally:
            self._posts.discard(post)
            post.cut()

    async def close(self) -> None:
        """End what is under way."""
        for post in self._posts:
            post.cut()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


def _target(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        port = port or PORTS.get(parts.scheme)
    if host is None or port is None or parts.scheme not in PORTS:
        raise DeliveryError("expected an http or https URL")
    return host, port
