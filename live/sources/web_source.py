"""Reading one source over http(s): its credentials, its errors, and an end when the capture stops.

Belongs to one thread, but for the stop signal. Credentials go to the source's own host and port
only, never before that host has asked for them.
"""

import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

from contracts.errors import SourceNotPermitted, SourceUnauthorized, SourceUnreachable
from contracts.web import WebAnswer, WebClient
from live.http_digest import digest_answer, parse_parameters
from live.sources.source import Source
from live.sources.stop_signal import StopSignal

HEAD_BYTES = 4096


class WebFile:
    """A body as a file that is read once, as FFmpeg wants it."""

    def __init__(self, answer: WebAnswer, owner: "WebSource") -> None:
        self.url = answer.url
        self.content_type = answer.headers.get("content-type", "").lower()
        self._answer = answer
        self._head = b""
        self._owner = owner
        self._take_back = owner.stop.on_set(answer.hang_up)

    def peek(self) -> bytes:
        """The first bytes; they are read again afterwards."""
        if not self._head:
            self._head = self._answer.read(HEAD_BYTES)
        return self._head

    def read(self, max_bytes: int) -> bytes:
        """Read what has come; nothing at the end."""
        self._owner.check_time()
        if self._head:
            head, self._head = self._head[:max_bytes], self._head[max_bytes:]
            return head
        return self._answer.read(max_bytes)

    def close(self) -> None:
        """Hang up; a second time does nothing."""
        self._take_back()
        self._answer.close()
        self._owner.forget(self)


class WebSource:
    """Opens what belongs to one source.

    Attributes:
        stop: Hangs up on all of it.
        deadline_s: On the monotonic clock, until when it must have shown what it is; a host that
            sends a byte now and then is not silent. ``None`` afterwards.
    """

    def __init__(
        self, source: Source, client: WebClient, *, timeout_s: float, stop: StopSignal
    ) -> None:
        self._source = source
        self._client = client
        self._timeout_s = timeout_s
        self.stop = stop
        self.deadline_s: float | None = None
        self._challenge = ""
        self._files: set[WebFile] = set()

    def open(self, url: str, *, byte_range: str = "") -> WebFile:
        """Open a URL.

        Args:
            url: The source's, or one that it leads to.
            byte_range: Part of the file, as ``Range`` says it.

        Raises:
            SourceNotPermitted: An address it leads to is not allowed.
            SourceUnauthorized: The credentials are refused, or missing.
            SourceUnreachable, SourceStalled: As they say.
        """
        if self.stop.is_set():
            raise SourceUnreachable("the capture is stopping")
        if urlsplit(url).scheme not in ("http", "https"):
            raise SourceNotPermitted("it leads to what is neither http nor https")
        answer = self._get(url, byte_range)
        if answer.status == 401 and self._is_own(url) and self._may_answer(answer):
            answer.close()
            answer = self._get(url, byte_range)
        error = _refusal(answer.status)
        if error is not None:
            answer.close()
            raise error
        file = WebFile(answer, self)
        self._files.add(file)
        return file

    def check_time(self) -> None:
        """Give up a source that takes too long to show what it is.

        Raises:
            SourceUnreachable: It did.
        """
        if self.deadline_s is not None and time.monotonic() > self.deadline_s:
            raise SourceUnreachable("the source did not send a picture in time")

    def forget(self, file: WebFile) -> None:
        """Note that a file is closed."""
        self._files.discard(file)

    def close(self) -> None:
        """Hang up on all that is still open: FFmpeg leaves the first playlist so."""
        for file in tuple(self._files):
            file.close()

    def _get(self, url: str, byte_range: str) -> WebAnswer:
        headers = {"Range": f"bytes={byte_range}"} if byte_range else {}
        if self._challenge and self._is_own(url):
            headers |= self._authorization(url)
        return self._client.get(url, headers=headers, timeout_s=self._timeout_s)

    def _may_answer(self, answer: WebAnswer) -> bool:
        """Whether there are credentials for what the host asks."""
        self._challenge = answer.headers.get("www-authenticate", "")
        return bool(self._source.username or self._source.password) and bool(self._challenge)

    def _authorization(self, url: str) -> Mapping[str, str]:
        username, password = self._source.username, self._source.password
        scheme, challenge = parse_parameters(self._challenge)
        if scheme == "basic":
            login = b64encode(f"{username}:{password}".encode()).decode()
            return {"Authorization": f"Basic {login}"}
        parts = urlsplit(url)
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        answer = digest_answer(
            challenge,
            method="GET",
            uri=uri,
            username=username,
            password=password,
            cnonce=secrets.token_hex(8),
        )
        return {} if scheme != "digest" or answer is None else {"Authorization": answer}

    def _is_own(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self._source.url)[:2]  # scheme, host and port


def _refusal(status: int) -> SourceUnauthorized | SourceUnreachable | None:
    if 200 <= status < 300:
        return None
    if status == 401:
        return SourceUnauthorized("the source refuses the credentials")
    if status == 403:
        return SourceUnauthorized("the source forbids access")
    return SourceUnreachable(f"the source answers with status {status}")
