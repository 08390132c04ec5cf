"""Posting to hosts that other people named, without being led where one must not go."""

from collections.abc import Mapping
from typing import Protocol


class CheckedPoster(Protocol):
    """Posts to public or permitted addresses only. Safe to call from many tasks of one loop.

    Messages of its errors hold neither the URL nor an address.
    """

    async def check(self, url: str) -> None:
        """Refuse a URL that would be refused now; a host that cannot be found may be there later.

        Raises:
            DeliveryError: The scheme or the address is not permitted.
        """
        ...

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float
    ) -> int:
        """Post once, from the look-up of the host to the answer's headers within ``timeout_s``.

        Returns:
            The answer's status; redirects are not followed.

        Raises:
            DeliveryError: No answer came, or the address is not permitted.
        """
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...
