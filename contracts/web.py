"""Reading from http(s) hosts that may be read from, and from no others."""

from collections.abc import Mapping
from typing import Protocol


class WebAnswer(Protocol):
    """What a host answers, as it comes."""

    @property
    def url(self) -> str:
        """Where it came from, after redirects."""
        ...

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    def read(self, max_bytes: int) -> bytes:
        """Read what has come, at least a byte; nothing at the end. Blocks.

        Raises:
            SourceStalled: Nothing came for too long.
            SourceUnreachable: The connection broke.
        """
        ...

    def hang_up(self) -> None:
        """Have a blocked ``read`` on another thread end."""
        ...

    def close(self) -> None:
        """Give back what it holds; on the thread that reads."""
        ...


class WebClient(Protocol):
    """Asks hosts. Thread-safe."""

    def check(self, url: str) -> None:
        """Refuse a URL that can be refused without looking up its host.

        Raises:
            SourceNotPermitted: It is not allowed.
        """
        ...

    def get(self, url: str, *, headers: Mapping[str, str], timeout_s: float) -> WebAnswer:
        """Ask for a URL, and for what it redirects to.

        Args:
            url: http or https; every address it leads to is checked.
            headers: Sent as well; to other hosts, after a redirect, no ``Authorization``.
            timeout_s: How long connecting, and each read, may take.

        Raises:
            SourceNotPermitted: An address it leads to is not allowed.
            SourceUnreachable, SourceStalled: No answer came.
        """
        ...
