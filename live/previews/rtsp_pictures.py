"""Annotated pictures of live streams for the RTSP server, found by path.

Belongs to one event loop; pictures are drawn on threads of the server's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import numpy as np
from PIL import Image, ImageOps

from contracts.errors import StreamNotFound
from contracts.media import U8
from contracts.previews import View
from contracts.streams import LiveStreams, StreamStatus
from live.previews.overlay import fit_size
from live.previews.overlay_lines import OverlayLines
from live.previews.shared_picture import Subject

ROOT = "/out"  # of all paths; itself it is the only or first stream
FPS = 10.0
VIEW = View(max_side=1280, is_annotated=True)
UNKNOWN_SIZE_WH = (1280, 720)  # of a source that has shown nothing yet


class RtspPictures:
    """What can be played: every live stream, also one that does not run."""

    def __init__(self, streams: LiveStreams, lines: OverlayLines) -> None:
        self._streams = streams
        self._lines = lines
        self._found: WeakValueDictionary[str, StreamPictures] = WeakValueDictionary()

    def find(self, path: str) -> "StreamPictures | None":
        """The pictures of a path, the same for all who watch at a time; ``None``: no such path."""
        status = self._status(path)
        if status is None:
            return None
        stream_id = status.config.id
        found = self._found.get(stream_id)
        if found is None:
            subject = Subject(self._streams, self._lines, stream_id, VIEW)
            found = self._found[stream_id] = StreamPictures(subject, size_of(status))
        return found

    def _status(self, path: str) -> StreamStatus | None:
        if path == ROOT:
            return next(iter(self._streams.statuses()), None)
        root, _, stream_id = path.rpartition("/")
        try:
            return self._streams.status(stream_id) if root == ROOT else None
        except StreamNotFound:
            return None


def size_of(status: StreamStatus) -> tuple[int, int]:
    """The size that a stream is shown at: that of its pictures, within bounds, both sides even."""
    source_wh = UNKNOWN_SIZE_WH
    if status.width and status.height:
        source_wh = (status.width, status.height)
    width, height = fit_size(source_wh, VIEW.max_side)
    return max(2, width // 2 * 2), max(2, height // 2 * 2)


class StreamPictures:
    """Implements ``live.rtsp_server.broadcast.PictureSource``.

    The size stays as long as somebody watches; pictures that come in another one are fitted in.
    """

    def __init__(self, subject: Subject, size_wh: tuple[int, int]) -> None:
        self.size_wh = size_wh
        self.fps = FPS
        self._subject = subject
        self._drawn: tuple[tuple[object, ...], U8] | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have the stream sampled as often as it is shown."""
        try:
            with self._subject.streams.sampling_at_least(self._subject.stream_id, FPS):
                yield
        except StreamNotFound as exc:
            raise LookupError from exc

    def picture(self) -> U8:
        """The picture of now, drawn only if it is another one than before.

        Raises:
            LookupError: The stream is gone.
        """
        try:
            scene = self._subject.scene()
            sequence = self._subject.sequence() if scene.has_picture else 0
            key = (*scene.key, sequence)
            if self._drawn is None or self._drawn[0] != key:
                self._drawn = key, fitted(self._subject.draw(scene).image, self.size_wh)
            return self._drawn[1]
        except StreamNotFound as exc:
            raise LookupError from exc


def fitted(image: Image.Image, size_wh: tuple[int, int]) -> U8:
    """The whole picture at this size, with bars where its aspect is another; (H, W, 3)."""
    if image.size != size_wh:
        image = ImageOps.pad(image, size_wh, Image.Resampling.BILINEAR)
    return np.asarray(image)
