"""Where live pictures come from: a URL taken apart, and what of it may be shown.

Pure but for looking at the named device or file. Credentials are kept apart from the URL and are in
no ``repr``. What is permitted is ``live.sources.rules``' decision.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from contracts.errors import StreamUrlNotAllowed
from contracts.streams import StreamConfig, StreamKind

KINDS: dict[str, StreamKind] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "http": "http",
    "https": "http",
    "v4l2": "v4l2",
    "file": "file",
}
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
HIDDEN = "***"
EXPECTED = "expected an rtsp, rtsps, v4l2, http, https or file URL"


@dataclass(frozen=True, slots=True)
class Source:
    """One source of live pictures.

    Attributes:
        url: Without user info.
        shown: As people may see it: no user info, every value in path and query hidden.
        host: Empty for devices and files.
        port: 0 for devices and files.
        path: Of a device or a file, decoded.
    """

    kind: StreamKind
    scheme: str
    url: str = field(repr=False)
    shown: str
    host: str = ""
    port: int = 0
    path: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def identity(self) -> str:
        """What two URLs of one source have in common."""
        if self.kind == "file":
            return f"file:{Path(self.path).resolve()}"
        if self.kind == "v4l2":
            return f"v4l2:{_device_number(self.path) or Path(self.path).resolve()}"
        parts = urlsplit(self.url)
        return f"{self.scheme}://{self.host}:{self.port}{parts.path or '/'}?{parts.query}"

    def url_at(self, host: str) -> str:
        """The URL with credentials, as FFmpeg wants them, at this host or address."""
        parts = urlsplit(self.url)
        login = ""
        if self.username or self.password:
            login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@"
        written = f"[{host}]" if ":" in host else host
        return parts._replace(netloc=f"{login}{written}:{self.port}").geturl()


def parse_source(config: StreamConfig) -> Source:
    """Take the URL of a stream apart.

    Raises:
        StreamUrlNotAllowed: It is no URL of a source, or one that was shown with parts hidden.
    """
    if HIDDEN in config.url:
        message = f"the URL has {HIDDEN} where a value was hidden; send the whole URL"
        raise StreamUrlNotAllowed(message, param="url")
    try:
        parts = urlsplit(config.url)
        port = parts.port
    except ValueError:
        raise StreamUrlNotAllowed(EXPECTED, param="url") from None
    kind = KINDS.get(parts.scheme)
    if kind is None:
        raise StreamUrlNotAllowed(EXPECTED, param="url")
    if kind in ("v4l2", "file"):
        return _local(parts, kind)
    if not parts.hostname:
        raise StreamUrlNotAllowed(f"{EXPECTED} with a host", param="url")
    return _remote(parts, kind, port or PORTS[parts.scheme], config)


def _local(parts: SplitResult, kind: StreamKind) -> Source:
    if parts.netloc not in ("", "localhost"):
        message = f"expected three slashes, as in {parts.scheme}:///path"
        raise StreamUrlNotAllowed(message, param="url")
    url = parts._replace(netloc="").geturl()
    return Source(kind, parts.scheme, url, f"{kind}://{parts.path}", path=unquote(parts.path))


def _remote(parts: SplitResult, kind: StreamKind, port: int, config: StreamConfig) -> Source:
    host = (parts.hostname or "").rstrip(".")
    username = config.username or unquote(parts.username or "")
    password = config.password or unquote(parts.password or "")
    address = parts.netloc.rpartition("@")[2]
    login = f"{HIDDEN}@" if username or password else ""
    shown = parts._replace(
        netloc=login + address, path=_hide(parts.path), query=_hide_query(parts.query), fragment=""
    )
    return Source(
        kind,
        parts.scheme,
        parts._replace(netloc=address, fragment="").geturl(),
        shown.geturl(),
        host,
        port,
        username=username,
        password=password,
    )


def _hide(text: str) -> str:
    """Every value after an equals sign hidden: some cameras take passwords in the path."""
    return re.sub(r"=[^/&;]+", f"={HIDDEN}", text)


def _hide_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&")) if query else ()
    return "&".join(f"{name}={HIDDEN}" if sign else HIDDEN for name, sign, _ in pairs)


def _device_number(path: str) -> int | None:
    try:
        return os.stat(path).st_rdev or None
    except OSError:
        return None
