"""Live cameras: what a person configured, how each stands, and how the rest reaches their frames.

Values and one protocol. Moments in the world are aware UTC datetimes, spans are seconds.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from contracts.media import Clip, Frame

StreamKind = Literal["rtsp", "v4l2", "http", "file"]


class StreamState(StrEnum):
    """How a live stream stands.

    Attributes:
        CONNECTING: Opening; no frame since it was (re)started or its source came back.
        RUNNING: The newest frame is fresh.
        STALLED: Connected, but no fresh frame.
        LOST: The connection is gone; tried again for ever.
        ENDED: Nothing more will come: played out, or switched off.
        FAILED: Only a person can help.
    """

    CONNECTING = "connecting"
    RUNNING = "running"
    STALLED = "stalled"
    LOST = "lost"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """A live stream as a person configured it.

    Attributes:
        url: Of the source, as it was written; never shown.
        username: Instead of credentials inside ``url``; likewise ``password``.
        enabled: False stops the capture and keeps everything else.
        loop: Files only: start again at the end.
        sample_fps: Frames per second put into the ring buffer, 0.1 to 30.
    """

    id: str
    url: str = field(repr=False)
    created_at: datetime
    name: str = ""
    description: str = ""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    enabled: bool = True
    loop: bool = False
    sample_fps: float = 4.0


@dataclass(frozen=True, slots=True)
class BufferStatus:
    """What a ring buffer holds: from oldest to newest frame, how many, in how many bytes."""

    seconds: float = 0.0
    num_frames: int = 0
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How a live stream stood at one moment.

    Attributes:
        url: Without user info, every query value as ``***``.
        state_reason: Why it is lost, ended or failed, without any address.
        last_frame_age_s: Of its newest frame, however old.
        next_retry_in_s: While it waits to try again.
        reconnects: How often its source came back.
        width: Of the source's picture, pixels; ``None`` before the first frame.
        source_fps: What the source declares.
        measured_fps: What it has lately sent.
        frames_captured: Put into the ring buffer.
        frames_dropped: Due for the ring buffer, but damaged, out of order or too late.
    """

    config: StreamConfig
    url: str
    kind: StreamKind
    state: StreamState
    state_since: datetime
    state_reason: str | None = None
    last_frame_at: datetime | None = None
    last_frame_age_s: float | None = None
    next_retry_in_s: float | None = None
    reconnects: int = 0
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    source_fps: float | None = None
    measured_fps: float | None = None
    frames_captured: int = 0
    frames_dropped: int = 0
    buffer: BufferStatus = BufferStatus()


@dataclass(frozen=True, slots=True)
class StreamChange:
    """A live stream went from one state to another; ``before`` is ``None`` when it is new."""

    stream_id: str
    stream_name: str
    before: StreamState | None
    state: StreamState
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LookBack:
    """Which frames of a live stream a question sees; the newest is always one of them.

    Attributes:
        seconds: Spread over this span up to the newest frame; ``None`` is the newest ones as they
            lie in the buffer, 0 the newest alone.
        num_frames: How many, where the buffer has so many.
    """

    seconds: float | None = None
    num_frames: int = 1


@dataclass(frozen=True, slots=True)
class ClipSpan:
    """What a written clip shows: moments of its first and last frame, and how many there are."""

    begin: datetime
    end: datetime
    num_frames: int


class LiveStreams(Protocol):
    """All live streams. Safe to call from any thread; what blocks says so.

    Every call that names a stream raises ``StreamNotFound`` when there is none of that id.
    """

    def add(self, config: StreamConfig) -> StreamStatus:
        """Begin to capture; does not wait for the camera.

        Raises:
            StreamUrlNotAllowed: The source is unknown or not permitted.
            StreamExists: The id or the source is taken.
            StreamLimitReached: There are as many streams as may be.
        """
        ...

    def restore(self, config: StreamConfig) -> StreamStatus:
        """Take up a stream from before a restart; what is not permitted any more has failed.

        Raises:
            StreamUrlNotAllowed: Its source is none at all.
        """
        ...

    def update(self, config: StreamConfig) -> StreamStatus:
        """Take over a changed configuration; another source, or a dead one, is opened anew.

        Raises:
            StreamUrlNotAllowed, StreamExists: As for ``add``; nothing has changed then.
        """
        ...

    def remove(self, stream_id: str) -> None:
        """End the capture and forget the stream; does not wait for a camera that hangs."""
        ...

    def status(self, stream_id: str) -> StreamStatus:
        """How it stands now."""
        ...

    def statuses(self) -> list[StreamStatus]:
        """How all stand, in the order they were added."""
        ...

    def newest(self, stream_id: str) -> Frame | None:
        """The newest frame, a copy, however old; ``None`` before the first."""
        ...

    def newest_of_all(self) -> Mapping[str, Frame]:
        """The newest frame of each stream that has one."""
        ...

    def newest_sequences(self) -> Mapping[str, int]:
        """Number of the newest frame of each stream that has one, however old."""
        ...

    def wait_newer(self, stream_id: str, sequence: int, *, timeout_s: float) -> int:
        """Block until there is a frame above ``sequence``, at most so long; the newest's number."""
        ...

    def clip(self, stream_id: str, look_back: LookBack, *, allow_stale: bool = False) -> Clip:
        """The asked frames; blocks for some milliseconds per frame that is old.

        Raises:
            StreamNoFreshFrame: The newest frame is too old, or there is none.
        """
        ...

    def write_clip(
        self, stream_id: str, path: Path, *, begin: datetime, end: datetime
    ) -> ClipSpan | None:
        """Write what the buffer has of a span as MP4; blocks. ``None``, no file: no frame in it."""
        ...

    def sampling_at_least(self, stream_id: str, fps: float) -> AbstractContextManager[None]:
        """While the block lasts, sample at this rate although less is configured."""
        ...

    def subscribe(self, on_change: Callable[[StreamChange], None]) -> Callable[[], None]:
        """Call for every change of a state, in order, on threads of the streams.

        ``on_change`` returns soon, and does not add, change or remove streams.

        Returns:
            What ends the subscription.
        """
        ...

    def close(self) -> None:
        """End every capture; blocks until their threads have ended."""
        ...
