"""Who is told about an event: sinks, and which messages they want.

Pure. Addresses of sinks are secrets (tokens stand in their paths), so no ``repr`` and no message of
an error holds one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

MessageKind = Literal["begin", "update", "end"]
SinkKind = Literal["webhook", "apprise"]

KINDS: tuple[MessageKind, ...] = get_args(MessageKind)
TOLD_BY_DEFAULT: tuple[MessageKind, ...] = ("begin", "end")
MAX_URL_CHARS = 8192
REDACTED = "***"  # stands where a secret is not shown


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """A URL that messages are posted to, signed when there is a secret."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AppriseSink:
    """A service in Apprise's notation, such as ``ntfy://topic``."""

    apprise: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NamedSink:
    """A sink of VLM_SINKS; what it is, is looked up when something is sent."""

    name: str


Sink = WebhookSink | AppriseSink | NamedSink


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """A sink and the kinds of message it gets; ``on`` is ``None`` where nobody said."""

    sink: Sink
    on: tuple[MessageKind, ...] | None = None

    def wants(self, kind: MessageKind, otherwise: Sequence[MessageKind] = TOLD_BY_DEFAULT) -> bool:
        """Whether a message of this kind goes there; ``otherwise`` holds where nobody said."""
        return kind in (otherwise if self.on is None else self.on)


def parse_target(entry: object) -> NotifyTarget:
    """Read one entry of ``notify`` as people write it.

    Args:
        entry: A name, or an object with ``url`` and perhaps ``secret``, or with ``apprise``; both
            perhaps with ``on``.

    Raises:
        ValueError: It is neither; the message holds no value.
    """
    if isinstance(entry, str) and entry.strip():
        return NotifyTarget(NamedSink(entry))
    if not isinstance(entry, Mapping) or not entry.keys() <= {"url", "secret", "apprise", "on"}:
        raise ValueError('expected a name, {"url", "secret"?, "on"?} or {"apprise", "on"?}')
    return NotifyTarget(_parse_sink(entry), _parse_kinds(entry.get("on")))


def redacted(sink: Sink) -> str:
    """A sink as it may be shown: its name, or its scheme and host."""
    match sink:
        case NamedSink(name):
            return name
        case WebhookSink(url):
            parts = urlsplit(url)
            return f"{parts.scheme}://{parts.hostname}/{REDACTED}"
        case AppriseSink(url):
            return f"{url.partition('://')[0]}://{REDACTED}"


def _parse_sink(entry: Mapping[str, object]) -> Sink:
    url, secret, apprise = entry.get("url"), entry.get("secret"), entry.get("apprise")
    if isinstance(apprise, str) and url is None and secret is None:
        return AppriseSink(_address(apprise, "apprise"))
    if isinstance(url, str) and apprise is None and (secret is None or isinstance(secret, str)):
        return WebhookSink(_address(url, "url"), secret or None)
    raise ValueError('expected either "url", perhaps with "secret", or "apprise", as strings')


def _address(url: str, name: str) -> str:
    if "://" not in url or len(url) > MAX_URL_CHARS:
        raise ValueError(f"{name}: expected a URL of at most {MAX_URL_CHARS} characters")
    return url


def _parse_kinds(kinds: object) -> tuple[MessageKind, ...] | None:
    if kinds is None:
        return None
    if not isinstance(kinds, list | tuple) or not kinds or not set(kinds) <= {*KINDS}:
        raise ValueError(f"on: expected a list of {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in kinds)
