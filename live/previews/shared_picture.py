"""One live stream in one view: its picture, painted once, and the viewers who share it.

Belongs to one event loop; painting happens on threads.
"""

import asyncio
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from PIL import Image

from contracts.previews import PreviewPicture, View
from contracts.streams import LiveStreams, StreamState, StreamStatus
from live.previews.frame_bell import FrameBell
from live.previews.overlay_lines import OverlayLines
from live.previews.painter import draw_frame, draw_state, to_jpeg

HEARTBEAT_S = 1.0  # longest time without a picture: silence and a standstill look the same


@dataclass(frozen=True, slots=True)
class Scene:
    """How a stream stands, and what is to be written into its picture, at one moment."""

    status: StreamStatus
    lines: tuple[str, ...] | None

    @property
    def has_picture(self) -> bool:
        """Whether the newest frame is one of now."""
        return self.status.state is StreamState.RUNNING

    @property
    def key(self) -> tuple[object, ...]:
        """What two scenes have in common that give the same picture of the same frame."""
        status = self.status
        if self.has_picture:
            return status.config.name, status.state, self.lines
        return status.config.name, status.state, status.state_since, status.state_reason


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture, and the frame in it: its number, 0 on a card, and when it was captured."""

    image: Image.Image
    sequence: int = 0
    captured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is painted: one stream in one view."""

    streams: LiveStreams
    overlay: OverlayLines
    stream_id: str
    view: View

    def scene(self) -> Scene:
        """How it is now."""
        lines = self.overlay.of(self.stream_id) if self.view.is_annotated else None
        return Scene(self.streams.status(self.stream_id), lines)

    def sequence(self) -> int:
        """Number of the newest frame."""
        return self.streams.wait_newer(self.stream_id, -1, timeout_s=0)

    def paint_frame(self, scene: Scene) -> PreviewPicture | None:
        """The newest frame; ``None`` before the first. Blocks."""
        drawn = self._draw_frame(scene)
        return None if drawn is None else _painted(scene, drawn)

    def paint(self, scene: Scene) -> tuple[PreviewPicture, int]:
        """The picture that viewers see, and the number of the frame in it. Blocks."""
        drawn = self.draw(scene)
        return _painted(scene, drawn), drawn.sequence

    def draw(self, scene: Scene) -> Drawing:
        """What viewers see. Blocks."""
        drawn = self._draw_frame(scene) if scene.has_picture else None
        return drawn or Drawing(draw_state(scene.status, self.view.max_side))

    def _draw_frame(self, scene: Scene) -> Drawing | None:
        frame = self.streams.newest(self.stream_id)
        if frame is None:
            return None
        config = scene.status.config
        image = draw_frame(frame, config.name or config.id, scene.lines, self.view.max_side)
        return Drawing(image, frame.sequence or 0, frame.captured_at)


def _painted(scene: Scene, drawn: Drawing) -> PreviewPicture:
    return PreviewPicture(to_jpeg(drawn.image), scene.status.state, drawn.captured_at)


class SharedPicture:
    """The newest picture of a subject, painted when it is asked for and not before.

    Attributes:
        num_viewers: Who share it.
    """

    def __init__(self, subject: Subject, bell: FrameBell, painters: Executor) -> None:
        self.num_viewers = 0
        self.bell = bell
        self._subject = subject
        self._painters = painters
        self._lock = asyncio.Lock()
        self._key: tuple[object, ...] = ()
        self._painted: tuple[PreviewPicture, int] | None = None

    async def newest(self) -> PreviewPicture:
        """The picture of now."""
        async with self._lock:
            scene = self._subject.scene()
            if self._painted is None or self._is_other(scene, self._painted[1]):
                loop = asyncio.get_running_loop()
                self._painted = await loop.run_in_executor(
                    self._painters, self._subject.paint, scene
                )
                self._key = scene.key
            return self._painted[0]

    def _is_other(self, scene: Scene, sequence: int) -> bool:
        is_newer = scene.has_picture and self.bell.sequence > sequence
        return is_newer or scene.key != self._key


class PacedViewer:
    """Implements ``contracts.previews.Viewer``."""

    def __init__(self, shared: SharedPicture, fps: float) -> None:
        self._shared = shared
        self._interval_s = 1 / fps
        self._clock = asyncio.get_running_loop().time
        self._taken_s: float | None = None
        self._seen = 0

    async def next_due(self) -> None:
        """Wait until another picture is due; the first is due at once."""
        if self._taken_s is None:
            return
        await asyncio.sleep(self._taken_s + self._interval_s - self._clock())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._taken_s + HEARTBEAT_S):
                await self._shared.bell.wait_beyond(self._seen)

    async def picture(self) -> PreviewPicture:
        """The picture of now."""
        self._taken_s = self._clock()
        self._seen = self._shared.bell.sequence
        return await self._shared.newest()
