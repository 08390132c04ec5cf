"""Files of one directory, by ``file:`` URLs; for whoever reads media without a server.

A URL is absolute (``file:///clips/a.mp4``) or relative to the directory (``file:a.mp4``), with the
usual percent escapes. Links are followed before the place is judged.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from contracts.errors import InvalidUrl, MediaKind, UrlNotAllowed
from media.inline import scheme_of


def is_file_url(url: str) -> bool:
    """Whether a URL names a local file."""
    return scheme_of(url) == "file"


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """The files below a directory, and no other."""

    root: Path

    def open(self, url: str, kind: MediaKind) -> BinaryIO:
        """Open the file that a URL names, for reading.

        Raises:
            UrlNotAllowed: It is outside the directory, whether or not it exists.
            InvalidUrl: It is no file of the directory, or not a URL of this form.
        """
        try:
            root = self.root.resolve(strict=True)
            path = (root / _path(url, kind)).resolve()
            if not path.is_relative_to(root):
                message = f"expected a file inside the media directory, the {kind} is outside"
                raise UrlNotAllowed(message, kind=kind)
            if path.is_file():  # not a pipe or a device, on which opening may wait for ever
                return path.open("rb")
        except (OSError, RuntimeError, ValueError):  # unreadable, a loop of links, a null character
            pass
        message = f"expected a readable file of the media directory, the {kind} is none"
        raise InvalidUrl(message, kind=kind)


def _path(url: str, kind: MediaKind) -> str:
    parts = urlsplit(url.strip())
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise InvalidUrl(
            f"the {kind}: expected file:///absolute/name or file:name, other characters escaped",
            kind=kind,
        )
    return unquote(parts.path)
