"""All live streams: adding, changing and removing them, and the states they go through.

Thread-safe. Looks twice a second for states that time alone has changed, so that a capture that
hangs is told of as well.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path

from contracts.errors import (
    ShuttingDown,
    SourceNotPermitted,
    StreamExists,
    StreamLimitReached,
    StreamNotFound,
    StreamUrlNotAllowed,
)
from contracts.media import Clip, Frame
from contracts.streams import (
    ClipSpan,
    LookBack,
    StreamChange,
    StreamConfig,
    StreamState,
    StreamStatus,
)
from live.clock import Clock, SystemClock
from live.sources.connection import Connection
from live.sources.openers import OpenSource
from live.sources.source import Source, parse_source
from live.sources.stop_signal import StopSignal
from live.streams.live_stream import LiveStream, StreamPolicy

WATCH_S = 0.5
JOIN_S = 15.0  # a camera that hangs in being opened is waited for 5 s, twice
TROUBLE = (StreamState.STALLED, StreamState.LOST, StreamState.FAILED)

logger = logging.getLogger(__name__)

Listener = Callable[[StreamChange], None]


class StreamRegistry:
    """Implements ``contracts.streams.LiveStreams``.

    Args:
        policy: What holds for every stream.
        max_streams: How many there may be.
        check: Refuses sources that are not permitted, by ``SourceNotPermitted``.
        open_source: Connects to those that are.
        clock: What time it is.
    """

    def __init__(
        self,
        policy: StreamPolicy,
        *,
        max_streams: int,
        check: Callable[[Source], None],
        open_source: OpenSource,
        clock: Clock | None = None,
    ) -> None:
        self._policy = policy
        self._max_streams = max_streams
        self._check = check
        self._open_source = open_source
        self._clock = clock or SystemClock()
        self._streams: dict[str, LiveStream] = {}
        self._leaving: list[LiveStream] = []
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.RLock()
        self._is_closed = threading.Event()
        self._watch = threading.Thread(target=self._observe, name="capture-watch", daemon=True)
        self._watch.start()

    def add(self, config: StreamConfig) -> StreamStatus:
        """Begin to capture; see ``LiveStreams``."""
        source = self._permitted(config)
        with self._lock:
            if config.id in self._streams:
                message = f"there is a live stream {config.id} already; choose another id"
                raise StreamExists(message, stream_id=config.id, param="id")
            self._check_source(source, config.id)
            if len(self._streams) >= self._max_streams:
                raise StreamLimitReached(
                    f"there are {len(self._streams)} live streams, as many as VLM_MAX_STREAMS"
                    " allows; remove one first"
                )
            return self._begin(config, source)

    def restore(self, config: StreamConfig) -> StreamStatus:
        """Take up a stream from before a restart; what may not be captured any more has failed.

        Raises:
            StreamUrlNotAllowed: Its source is none at all.
        """
        source = parse_source(config)
        with self._lock:
            return self._begin(config, source)

    def update(self, config: StreamConfig) -> StreamStatus:
        """Take over a changed configuration; see ``LiveStreams``."""
        stream = self._stream(config.id)
        source = parse_source(config)
        if source != stream.source:
            source = self._permitted(config)
        with self._lock:
            self._check_open()
            self._check_source(source, config.id)
            stream.apply(config, source)
        return stream.status

    def remove(self, stream_id: str) -> None:
        """End the capture and forget the stream; see ``LiveStreams``."""
        with self._lock:
            stream = self._stream(stream_id)
            del self._streams[stream_id]
            self._leaving = [one for one in self._leaving if not one.join(0)]
            self._leaving.append(stream)
        stream.stop()

    def status(self, stream_id: str) -> StreamStatus:
        """How it stands now."""
        return self._stream(stream_id).status

    def statuses(self) -> list[StreamStatus]:
        """How all stand, in the order they were added."""
        return [stream.status for stream in self._all()]

    def newest(self, stream_id: str) -> Frame | None:
        """The newest frame, a copy, however old."""
        return self._stream(stream_id).newest()

    def newest_of_all(self) -> dict[str, Frame]:
        """The newest frame of each stream that has one."""
        newest = {stream.config.id: stream.newest() for stream in self._all()}
        return {stream_id: frame for stream_id, frame in newest.items() if frame is not None}

    def newest_sequences(self) -> dict[str, int]:
        """Number of the newest frame of each stream that has one."""
        numbers = {stream.config.id: stream.newest_sequence for stream in self._all()}
        return {stream_id: number for stream_id, number in numbers.items() if number is not None}

    def wait_newer(self, stream_id: str, sequence: int, *, timeout_s: float) -> int:
        """Block until there is a newer frame, at most so long."""
        return self._stream(stream_id).wait_newer(sequence, timeout_s)

    def clip(self, stream_id: str, look_back: LookBack, *, allow_stale: bool = False) -> Clip:
        """The asked frames; see ``LiveStreams``."""
        return self._stream(stream_id).clip(look_back, allow_stale=allow_stale)

    def write_clip(
        self, stream_id: str, path: Path, *, begin: datetime, end: datetime
    ) -> ClipSpan | None:
        """Write what the buffer has of a span as MP4; blocks."""
        return self._stream(stream_id).write_clip(path, begin, end)

    def sampling_at_least(self, stream_id: str, fps: float) -> AbstractContextManager[None]:
        """Sample at this rate while the block lasts."""
        return self._stream(stream_id).sampling_at_least(fps)

    def subscribe(self, on_change: Listener) -> Callable[[], None]:
        """Call for every change of a state; see ``LiveStreams``."""
        with self._lock:
            self._listeners = (*self._listeners, on_change)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not on_change)

        return end

    def close(self) -> None:
        """End every capture; blocks until their threads have ended."""
        self._is_closed.set()
        with self._lock:
            streams = [*self._streams.values(), *self._leaving]
        for stream in streams:
            stream.stop()
        for stream in streams:
            if not stream.join(JOIN_S):
                logger.error("the capture of live stream %s does not end", stream.config.id)
        self._watch.join()

    def _begin(self, config: StreamConfig, source: Source) -> StreamStatus:
        self._check_open()
        stream = self._streams[config.id] = LiveStream(
            config,
            source,
            policy=self._policy,
            open_source=partial(self._open, config.id),
            clock=self._clock,
            on_change=self._tell,
        )
        stream.start()
        return stream.status

    def _open(
        self, stream_id: str, source: Source, *, silence_s: float, stop: StopSignal
    ) -> Connection:
        """Connect, unless the stream is one of too many from before a restart."""
        if stream_id in [stream.config.id for stream in self._all()[self._max_streams :]]:
            raise SourceNotPermitted("there are more live streams than VLM_MAX_STREAMS allows")
        return self._open_source(source, silence_s=silence_s, stop=stop)

    def _permitted(self, config: StreamConfig) -> Source:
        source = parse_source(config)
        try:
            self._check(source)
        except SourceNotPermitted as exc:
            raise StreamUrlNotAllowed(exc.message, param="url") from None
        return source

    def _check_open(self) -> None:
        if self._is_closed.is_set():
            raise ShuttingDown("the service is stopping")

    def _check_source(self, source: Source, stream_id: str) -> None:
        for stream in self._streams.values():
            if stream.config.id != stream_id and stream.source.identity == source.identity:
                message = f"live stream {stream.config.id} captures this source already"
                raise StreamExists(message, stream_id=stream.config.id, param="url")

    def _stream(self, stream_id: str) -> LiveStream:
        stream = self._streams.get(stream_id)
        if stream is None:
            there = ", ".join(sorted(self._streams)) or "none"
            raise StreamNotFound(f"there is no live stream {stream_id!r}; there are: {there}")
        return stream

    def _all(self) -> list[LiveStream]:
        with self._lock:
            return list(self._streams.values())

    def _observe(self) -> None:
        while not self._is_closed.wait(WATCH_S):
            for stream in self._all():
                try:
                    stream.observe()
                except Exception:  # the others go on being watched
                    logger.exception("a stream cannot be observed, code=server_error")

    def _tell(self, change: StreamChange) -> None:
        level = logging.WARNING if change.state in TROUBLE else logging.INFO
        why = f": {change.reason}" if change.reason else ""
        logger.log(level, "live stream %s is %s%s", change.stream_id, change.state, why)
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:  # a listener must not end a capture
                logger.exception("a listener failed, code=server_error")
