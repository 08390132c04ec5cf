"""Pictures of live streams for people: the newest frame, or a card where there is none to show.

Nothing is painted while nobody watches, and nothing twice: viewers who want the same share it.
Belongs to one event loop; painting happens on threads of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager

from contracts.previews import PreviewPicture, View
from contracts.streams import LiveStreams
from live.previews.frame_bell import FrameBell
from live.previews.overlay_lines import OverlayLines
from live.previews.shared_picture import PacedViewer, SharedPicture, Subject
from live.seats import Seats

NUM_PAINTERS = 2


class LivePreviews:
    """Implements ``contracts.previews.Previews``."""

    def __init__(self, streams: LiveStreams, lines: OverlayLines, seats: Seats) -> None:
        self._streams = streams
        self._lines = lines
        self._seats = seats
        self._bells: dict[str, FrameBell] = {}
        self._shared: dict[tuple[str, View], SharedPicture] = {}
        self._painters = ThreadPoolExecutor(NUM_PAINTERS, thread_name_prefix="preview-paint")

    @property
    def num_viewers(self) -> int:
        """Clients that watch now, however they do."""
        return self._seats.num_taken

    def seat(self) -> AbstractContextManager[None]:
        """One of the places for clients that watch, while the context lasts."""
        return self._seats.one()

    @asynccontextmanager
    async def watch(self, stream_id: str, view: View, *, fps: float) -> AsyncIterator[PacedViewer]:
        """Watch a stream while the context lasts."""
        self._streams.status(stream_id)  # there must be one before anything begins
        with self._streams.sampling_at_least(stream_id, fps):
            shared = self._join(stream_id, view)
            try:
                yield PacedViewer(shared, fps)
            finally:
                self._leave(stream_id, view)

    async def snapshot(self, stream_id: str, view: View) -> PreviewPicture | None:
        """The newest frame, however old; ``None`` before the first."""
        subject = Subject(self._streams, self._lines, stream_id, view)
        return await asyncio.get_running_loop().run_in_executor(
            self._painters, subject.paint_frame, subject.scene()
        )

    def note_answer(self, stream_id: str, question: str, answer: str) -> None:
        """Show this question and answer in annotated pictures from now on."""
        self._lines.note_answer(stream_id, question, answer)

    def close(self) -> None:
        """End the threads; blocks for less than a second."""
        for bell in self._bells.values():
            bell.close()
        for bell in self._bells.values():
            bell.join()
        self._painters.shutdown()

    def _join(self, stream_id: str, view: View) -> SharedPicture:
        shared = self._shared.get((stream_id, view))
        if shared is None:
            bell = self._bells.get(stream_id)
            if bell is None:
                bell = self._bells[stream_id] = FrameBell(self._streams, stream_id)
            subject = Subject(self._streams, self._lines, stream_id, view)
            shared = self._shared[stream_id, view] = SharedPicture(subject, bell, self._painters)
        shared.num_viewers += 1
        return shared

    def _leave(self, stream_id: str, view: View) -> None:
        shared = self._shared[stream_id, view]
        shared.num_viewers -= 1
        if shared.num_viewers == 0:
            del self._shared[stream_id, view]
        if not any(watched == stream_id for watched, _ in self._shared):
            self._bells.pop(stream_id).close()
