"""Pictures of live streams as people watch them: values and one protocol.

What is shown is the newest frame, or a card where there is none to show: never a frozen picture.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.streams import StreamState


@dataclass(frozen=True, slots=True)
class View:
    """How a viewer wants to see a live stream.

    Attributes:
        max_side: Longer side in pixels; a frame that is smaller stays so. ``None`` is no bound.
        is_annotated: Whether name, time, the last question and answer, and rules stand in them.
    """

    max_side: int | None = None
    is_annotated: bool = False


@dataclass(frozen=True, slots=True)
class PreviewPicture:
    """One JPEG of a live stream.

    Attributes:
        state: Of the stream when it was made.
        captured_at: Of the frame; ``None`` on a card.
    """

    jpeg: bytes
    state: StreamState
    captured_at: datetime | None = None


class Viewer(Protocol):
    """One client's eyes on one live stream.

    Both calls raise ``StreamNotFound`` once the stream is gone.
    """

    async def next_due(self) -> None:
        """Wait until another picture is due: a newer one, or a second has passed."""
        ...

    async def picture(self) -> PreviewPicture:
        """The picture of now, however long ago the last one was taken."""
        ...


class Previews(Protocol):
    """Makes pictures for viewers; each of them once, however many viewers share it.

    Belongs to one event loop. Calls that name a stream raise ``StreamNotFound`` when there is none.
    """

    @property
    def num_viewers(self) -> int:
        """Clients that watch now."""
        ...

    def seat(self) -> AbstractContextManager[None]:
        """One of the places for clients that watch, while the context lasts.

        Raises:
            TooManyViewers: As many watch as may.
        """
        ...

    def watch(
        self, stream_id: str, view: View, *, fps: float
    ) -> AbstractAsyncContextManager[Viewer]:
        """Watch a stream, at most ``fps`` pictures a second, while the context lasts."""
        ...

    async def snapshot(self, stream_id: str, view: View) -> PreviewPicture | None:
        """The newest frame, however old; ``None`` before the first."""
        ...

    def note_answer(self, stream_id: str, question: str, answer: str) -> None:
        """Show this question and answer in annotated pictures from now on."""
        ...
