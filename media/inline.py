"""Media that come inside the request: data URLs and bare base64.

Pure. Whitespace is passed over (mail and shells wrap lines), everything else is strict.
"""

import base64
import binascii
import re

from contracts.errors import (
    FileTooLarge,
    InvalidBase64,
    InvalidUrl,
    MediaError,
    MediaKind,
    UrlNotAllowed,
)
from contracts.media import FrameList

SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
HOST_WITHOUT_SCHEME = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?(/|\?|$)")
MAX_PREFIX_CHARS = 300  # a scheme or a host is in them; base64 may go on for megabytes
FRAME_LIST_TYPE = "data:video/jpeg"
WHITESPACE = str.maketrans("", "", " \t\r\n\f\v")
# What there is to escape in base64; the standard library's way takes sixty times the text's memory.
ESCAPES = {"%2B": "+", "%2F": "/", "%3D": "=", "%0A": "", "%0D": "", "%20": ""}


def scheme_of(url: str) -> str:
    """The scheme in lower case, or nothing for bare base64."""
    match = SCHEME.match(url[:MAX_PREFIX_CHARS])
    return match[1].lower() if match else ""


def is_remote(url: str, kind: MediaKind) -> bool:
    """Whether a URL is to be fetched; otherwise its bytes are in it.

    Raises:
        UrlNotAllowed: Another scheme than http, https and data.
        InvalidUrl: A host name without a scheme.
    """
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        return True
    if scheme not in ("", "data"):
        raise UrlNotAllowed(
            "expected an http, https or data URL; to ask about a camera or a file of the server,"
            " register a stream",
            kind=kind,
        )
    if not scheme and HOST_WITHOUT_SCHEME.match(url[:MAX_PREFIX_CHARS].strip()):
        message = "expected http://…, https://…, a data URL or base64, got a name without a scheme"
        raise InvalidUrl(message, kind=kind)
    return False


def decode_inline(url: str, max_bytes: int, kind: MediaKind) -> bytes:
    """The bytes of a data URL or of bare base64.

    Raises:
        InvalidBase64: It does not decode.
        FileTooLarge: It would be more than ``max_bytes``; nothing is decoded then.
    """
    payload = _payload(url, kind).translate(WHITESPACE)
    for escape, meant in ESCAPES.items():
        payload = payload.replace(escape, meant).replace(escape.lower(), meant)
    size = len(payload) // 4 * 3
    if size > max_bytes + 2:
        raise too_large(max_bytes, kind)
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        message = f"the {kind}'s base64 does not decode: expected A-Z a-z 0-9 + / and padding"
        raise InvalidBase64(message, kind=kind) from None


def as_frame_list(url: str, fps: float | None) -> FrameList | None:
    """The pictures of ``data:video/jpeg;base64,f1,f2,…``; ``None`` for any other URL."""
    if not url[:64].strip().lower().startswith(FRAME_LIST_TYPE):
        return None
    frames = tuple(part for part in url.partition(",")[2].split(",") if part.strip())
    return FrameList(frames, fps or 1.0) if frames else None


def too_large(max_bytes: int, kind: MediaKind) -> MediaError:
    """The refusal of too many bytes."""
    return FileTooLarge(f"the {kind} has more than {max_bytes >> 20} MB", kind=kind)


def _payload(url: str, kind: MediaKind) -> str:
    if scheme_of(url) != "data":
        return url
    header, comma, payload = url.partition(",")
    if not comma or not header.lower().rstrip().endswith(";base64"):
        message = "expected a data URL of the form data:…;base64,…"
        raise InvalidBase64(message, kind=kind)
    return payload
