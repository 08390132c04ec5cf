"""Room for so many who watch live pictures, over HTTP and RTSP together. Of one event loop."""

from collections.abc import Iterator
from contextlib import contextmanager

from contracts.errors import TooManyViewers


class Seats:
    """At most ``max_viewers`` are taken at a time."""

    def __init__(self, max_viewers: int) -> None:
        self.max_viewers = max_viewers
        self.num_taken = 0

    def take(self) -> bool:
        """Take one, if there is one left."""
        if self.num_taken >= self.max_viewers:
            return False
        self.num_taken += 1
        return True

    def leave(self) -> None:
        """Give one back."""
        self.num_taken -= 1

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one while the block lasts.

        Raises:
            TooManyViewers: There is none left.
        """
        if not self.take():
            raise TooManyViewers(
                f"{self.num_taken} previews are open (VLM_MAX_VIEWERS); close one, or try later"
            )
        try:
            yield
        finally:
            self.leave()
