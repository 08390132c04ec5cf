"""Who watches previews of live streams, at most ``VLM_MAX_VIEWERS``. One event loop."""

from collections.abc import Iterator
from contextlib import contextmanager

from api.deps import GetDeps
from contracts.errors import TooManyViewers


class Viewers:
    """The open previews of one app: each MJPEG answer and each WebSocket is one."""

    def __init__(self, deps: GetDeps) -> None:
        self._deps = deps
        self._num_watching = 0

    @property
    def num_watching(self) -> int:
        """Previews that are open."""
        return self._num_watching

    @contextmanager
    def place(self) -> Iterator[None]:
        """Watch while the block lasts.

        Raises:
            TooManyViewers: As many watch as may.
        """
        if self._num_watching >= self._deps().settings.max_viewers:
            raise TooManyViewers(
                f"{self._num_watching} previews are open (VLM_MAX_VIEWERS); close one, or try later"
            )
        self._num_watching += 1
        try:
            yield
        finally:
            self._num_watching -= 1
