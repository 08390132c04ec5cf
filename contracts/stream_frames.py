"""What a question needs of live streams: a small part of ``contracts.streams.LiveStreams``."""

from typing import Protocol

from contracts.errors import StreamNotFound
from contracts.media import Clip
from contracts.streams import LookBack, StreamStatus


class StreamFrames(Protocol):
    """Frames of live streams."""

    def status(self, stream_id: str) -> StreamStatus:
        """How a stream stands, or ``StreamNotFound``."""
        ...

    def statuses(self) -> list[StreamStatus]:
        """How all stand."""
        ...

    def clip(self, stream_id: str, look_back: LookBack, *, allow_stale: bool = False) -> Clip:
        """The asked frames; blocks.

        Raises:
            StreamNotFound, StreamNoFreshFrame: As they say.
        """
        ...


class NoStreams:
    """For whoever asks without a service: there is no live stream."""

    def status(self, stream_id: str) -> StreamStatus:
        """``StreamNotFound``."""
        raise StreamNotFound("there are no live streams here")

    def statuses(self) -> list[StreamStatus]:
        """None."""
        return []

    def clip(self, stream_id: str, look_back: LookBack, *, allow_stale: bool = False) -> Clip:
        """``StreamNotFound``."""
        raise StreamNotFound("there are no live streams here")
