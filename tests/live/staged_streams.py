"""Live streams without cameras: a test shows the frames and turns the states."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.errors import (
    StreamExists,
    StreamLimitReached,
    StreamNoFreshFrame,
    StreamNotFound,
    StreamUrlNotAllowed,
)
from contracts.media import U8, Clip, Frame
from contracts.streams import (
    BufferStatus,
    ClipSpan,
    LookBack,
    StreamChange,
    StreamConfig,
    StreamState,
    StreamStatus,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Staged:
    """One stream."""

    status: StreamStatus
    frames: list[Frame] = field(default_factory=list)
    sampled_at_least: list[float] = field(default_factory=list)


class StagedStreams:
    """Implements ``contracts.streams.LiveStreams``; sources that contain ``forbidden`` are."""

    def __init__(self, *stream_ids: str, max_streams: int = 8) -> None:
        self._streams: dict[str, Staged] = {}
        self._max_streams = max_streams
        self._changed = threading.Condition()
        self._listeners: list[Callable[[StreamChange], None]] = []
        for stream_id in stream_ids:
            self.add(StreamConfig(stream_id, f"rtsp://host/{stream_id}", NOON, name=stream_id))

    def show(self, stream_id: str, rgb: U8) -> None:
        """Let the next frame come, a second after the last."""
        staged = self._one(stream_id)
        with self._changed:
            number = staged.frames[-1].sequence or 0 if staged.frames else 0
            moment = NOON + timedelta(seconds=number)
            staged.frames.append(Frame(rgb, float(number), moment, number + 1))
            staged.status = replace(
                staged.status,
                state=StreamState.RUNNING,
                last_frame_at=moment,
                last_frame_age_s=0.0,
                width=rgb.shape[1],
                height=rgb.shape[0],
                codec="h264",
                frames_captured=number + 1,
                buffer=BufferStatus(float(number), number + 1),
            )
            self._changed.notify_all()

    def turn(
        self, stream_id: str, state: StreamState, reason: str | None = None, age_s: float = 60.0
    ) -> None:
        """Change the state of a stream."""
        staged = self._one(stream_id)
        before = staged.status.state
        staged.status = replace(
            staged.status, state=state, state_reason=reason, last_frame_age_s=age_s
        )
        change = StreamChange(stream_id, staged.status.config.name, before, state, NOON, reason)
        for listener in tuple(self._listeners):
            listener(change)

    def sampled_at_least(self, stream_id: str) -> list[float]:
        """The rates that are wanted now."""
        return self._one(stream_id).sampled_at_least

    def add(self, config: StreamConfig) -> StreamStatus:
        if "forbidden" in config.url or "***" in config.url:
            raise StreamUrlNotAllowed("expected another source", param="url")
        self._check_taken(config, self._streams)
        if len(self._streams) >= self._max_streams:
            raise StreamLimitReached(f"expected at most {self._max_streams} live streams")
        state = StreamState.CONNECTING if config.enabled else StreamState.ENDED
        status = StreamStatus(config, _shown(config), "rtsp", state, NOON)
        self._streams[config.id] = Staged(status)
        return status

    def update(self, config: StreamConfig) -> StreamStatus:
        staged = self._one(config.id)
        if "forbidden" in config.url or "***" in config.url:
            raise StreamUrlNotAllowed("expected another source", param="url")
        others = {key: one for key, one in self._streams.items() if key != config.id}
        self._check_taken(config, others)
        state = StreamState.CONNECTING if config.enabled else StreamState.ENDED
        staged.status = replace(staged.status, config=config, url=_shown(config), state=state)
        return staged.status

    def remove(self, stream_id: str) -> None:
        self._one(stream_id)
        with self._changed:
            del self._streams[stream_id]
            self._changed.notify_all()

    def status(self, stream_id: str) -> StreamStatus:
        return self._one(stream_id).status

    def statuses(self) -> list[StreamStatus]:
        return [staged.status for staged in self._streams.values()]

    def wait_settled(self, stream_id: str, *, timeout_s: float) -> StreamStatus:
        return self.status(stream_id)

    def newest(self, stream_id: str) -> Frame | None:
        frames = self._one(stream_id).frames
        return frames[-1] if frames else None

    def newest_of_all(self) -> Mapping[str, Frame]:
        return {key: one.frames[-1] for key, one in self._streams.items() if one.frames}

    def wait_newer(self, stream_id: str, sequence: int, *, timeout_s: float) -> int:
        def newest() -> int:
            frames = self._one(stream_id).frames
            return frames[-1].sequence or 0 if frames else 0

        with self._changed:
            self._changed.wait_for(lambda: newest() > sequence, timeout_s)
            return newest()

    def clip(self, stream_id: str, look_back: LookBack, *, allow_stale: bool = False) -> Clip:
        staged = self._one(stream_id)
        is_fresh = staged.status.state is StreamState.RUNNING
        if not staged.frames or not (is_fresh or allow_stale):
            raise StreamNoFreshFrame(f"{stream_id} is {staged.status.state}")
        frames = staged.frames
        if look_back.seconds is not None:
            since_s = frames[-1].time_s - look_back.seconds
            frames = [frame for frame in frames if frame.time_s >= since_s]
        frames = frames[-look_back.num_frames :]
        start_s = frames[0].time_s
        counted = tuple(replace(frame, time_s=frame.time_s - start_s) for frame in frames)
        span_s = counted[-1].time_s
        height, width, _ = frames[-1].rgb.shape
        return Clip(
            counted, span_s, 1.0, len(staged.frames), width, height, "h264", 0.0, span_s, "live"
        )

    def write_clip(
        self, stream_id: str, path: Path, *, begin: datetime, end: datetime
    ) -> ClipSpan | None:
        frames = [
            moment
            for frame in self._one(stream_id).frames
            if (moment := frame.captured_at) and begin <= moment <= end
        ]
        if not frames:
            return None
        path.write_bytes(b"mp4 of %d" % len(frames))
        return ClipSpan(frames[0], frames[-1], len(frames))

    @contextmanager
    def sampling_at_least(self, stream_id: str, fps: float) -> Iterator[None]:
        staged = self._one(stream_id)
        staged.sampled_at_least.append(fps)
        try:
            yield
        finally:
            staged.sampled_at_least.remove(fps)

    def subscribe(self, on_change: Callable[[StreamChange], None]) -> Callable[[], None]:
        self._listeners.append(on_change)
        return lambda: self._listeners.remove(on_change)

    def close(self) -> None:
        with self._changed:
            self._streams.clear()
            self._changed.notify_all()

    def _one(self, stream_id: str) -> Staged:
        staged = self._streams.get(stream_id)
        if staged is None:
            raise StreamNotFound(f"no stream {stream_id}; there are {', '.join(self._streams)}")
        return staged

    def _check_taken(self, config: StreamConfig, others: Mapping[str, Staged]) -> None:
        for key, one in others.items():
            if key == config.id or one.status.config.url == config.url:
                raise StreamExists(f"stream {key} has it", stream_id=key)


def _shown(config: StreamConfig) -> str:
    scheme, _, rest = config.url.partition("://")
    return f"{scheme}://{'***@' if '@' in rest else ''}{rest.rpartition('@')[2]}"
