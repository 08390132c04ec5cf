"""Live streams as people add, change and remove them; what they configured outlives the process."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from contracts.streams import StreamConfig, StreamStatus

Vet = Callable[[], Awaitable[None]]


async def nothing_more() -> None:
    """Vets nothing."""


class StreamStore(Protocol):
    """Where configured streams are kept for the next start."""

    async def put_stream(self, config: StreamConfig) -> None:
        """Store a stream, or what changed of it.

        Raises:
            StorageUnavailable: Nothing was changed.
        """
        ...

    async def remove_stream(self, stream_id: str) -> None:
        """Forget a stream, and all that goes with it.

        Raises:
            StorageUnavailable: Nothing was changed.
        """
        ...


class StreamKeeper(Protocol):
    """Adds, changes and removes streams; whoever is told of it can rely on it after a restart.

    Belongs to one event loop. Every call may raise ``StorageUnavailable``, and then nothing
    happened.
    """

    async def add(self, config: StreamConfig, vet: Vet = nothing_more) -> StreamStatus:
        """Begin to capture; does not wait for the camera.

        Args:
            config: Of the stream.
            vet: Called while the stream is captured, before it is stored; what it raises is raised,
                and then there never was such a stream.

        Raises:
            StreamUrlNotAllowed, StreamExists, StreamLimitReached: As ``LiveStreams.add`` says.
        """
        ...

    async def change(
        self, stream_id: str, change: Callable[[StreamConfig], StreamConfig]
    ) -> StreamStatus:
        """Replace a configuration by what ``change`` makes of it.

        Raises:
            StreamNotFound, StreamUrlNotAllowed, StreamExists: As ``LiveStreams.update`` says.
        """
        ...

    async def remove(self, stream_id: str) -> None:
        """End the capture and forget the stream, or ``StreamNotFound``."""
        ...
