"""One live stream: its configuration, its buffer, and the capture that fills it.

Thread-safe. A capture that is replaced may still hang in its source; the next one waits for its end
before it begins, so that a buffer never has two writers.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from contracts.errors import StreamNoFreshFrame
from contracts.media import Clip, Frame
from contracts.streams import (
    ClipSpan,
    LookBack,
    StreamChange,
    StreamConfig,
    StreamState,
    StreamStatus,
)
from live.capture.reconnecting import Capture, CaptureWishes
from live.capture.run import CaptureRun
from live.capture.tracker import Figures, Tracker
from live.clock import Clock, KeptMoment
from live.sources.openers import OpenSource
from live.sources.source import Source
from live.sources.stop_signal import StopSignal
from live.streams.clip_writer import write_clip
from live.streams.ring_buffer import RingBuffer
from live.streams.selection import read_clip
from live.streams.state import Standing, StateLimits

FINAL = (StreamState.ENDED, StreamState.FAILED)

OnChange = Callable[[StreamChange], None]


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """What holds for every stream; seconds and bytes."""

    ring_seconds: float
    ring_bytes: int
    stale_s: float
    lost_s: float


class LiveStream:
    """A stream from when it is added until it is removed; captures once it is started."""

    def __init__(
        self,
        config: StreamConfig,
        source: Source,
        *,
        policy: StreamPolicy,
        open_source: OpenSource,
        clock: Clock,
        on_change: OnChange,
    ) -> None:
        self._policy = policy
        self._open_source = open_source
        self._clock = clock
        self._on_change = on_change
        self._started_s = clock.monotonic()
        self._since = KeptMoment(clock)
        self._config = config
        self._source = source
        self._least_fps: list[float] = []
        self._changing = threading.Lock()
        self._ring = RingBuffer(seconds=policy.ring_seconds, max_bytes=policy.ring_bytes)
        self._run = self._next_run(None, Figures())

    @property
    def config(self) -> StreamConfig:
        """As a person configured it."""
        return self._config

    @property
    def source(self) -> Source:
        """Where its pictures come from."""
        return self._source

    def start(self) -> None:
        """Begin to capture, unless it is switched off."""
        self._run.launch()

    def apply(self, config: StreamConfig, source: Source) -> None:
        """Take over another configuration; another source, or a dead one, is opened anew."""
        with self._changing:
            is_other = source != self._source
            is_dead = self._run.tracker.standing.state in FINAL
            is_switched = config.enabled != self._config.enabled
            if source.identity != self._source.identity:
                self._renew_ring()
            self._config, self._source = config, source
            if is_other or is_switched or (is_dead and config.enabled):
                self._run.end()
                self._run = self._next_run(self._run, self._run.tracker.figures)
                self._run.launch()
            else:
                self._run.tracker.limits = self._limits

    def stop(self) -> None:
        """End the capture; does not wait for its thread."""
        with self._changing:
            self._run.end()
            self._ring.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the capture's thread; whether it has ended."""
        thread = self._run.last_thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def observe(self) -> None:
        """Tell of a state that time alone has changed."""
        self._run.tracker.observe()

    @property
    def status(self) -> StreamStatus:
        """How it stands now."""
        tracker, config, clock = self._run.tracker, self._config, self._clock
        standing, figures, retry_at_s = tracker.standing, tracker.figures, tracker.facts.retry_at_s
        entries = self._ring.entries
        width, height = figures.size_wh or (None, None)
        last_at = entries[-1].captured_at if entries else None
        now_s = clock.monotonic()
        return StreamStatus(
            config=config,
            url=self._source.shown,
            kind=self._source.kind,
            state=standing.state,
            state_since=self._since.of(standing.since_s),
            state_reason=standing.reason,
            last_frame_at=last_at,
            last_frame_age_s=self._age_s(),
            next_retry_in_s=None if retry_at_s is None else max(0.0, retry_at_s - now_s),
            reconnects=figures.num_reconnects,
            width=width,
            height=height,
            codec=figures.codec,
            source_fps=figures.declared_fps,
            measured_fps=tracker.measured_fps,
            frames_captured=figures.num_captured,
            frames_dropped=figures.num_dropped,
            buffer=self._ring.status,
        )

    def newest(self) -> Frame | None:
        """A copy of the newest frame, however old."""
        return self._ring.newest()

    @property
    def newest_sequence(self) -> int | None:
        """Number of the newest frame in the buffer; ``None`` while there is none."""
        entries = self._ring.entries
        return entries[-1].sequence if entries else None

    def wait_newer(self, sequence: int, timeout_s: float) -> int:
        """Block until there is a newer frame, at most so long; the newest's number."""
        return self._ring.wait_newer(sequence, timeout_s=timeout_s)

    def clip(self, look_back: LookBack, *, allow_stale: bool) -> Clip:
        """The asked frames.

        Raises:
            StreamNoFreshFrame: The newest is too old, or there is none.
        """
        if not allow_stale:
            self._check_fresh()
        figures = self._run.tracker.figures
        clip = read_clip(
            self._ring,
            look_back,
            size_wh=figures.size_wh or (0, 0),
            codec=figures.codec or "",
            source_fps=self._run.tracker.measured_fps or figures.declared_fps,
        )
        if clip is None:
            raise self._no_fresh_frame()
        return clip

    def write_clip(self, path: Path, begin: datetime, end: datetime) -> ClipSpan | None:
        """Write what the buffer has of a span; blocks."""
        ring = self._ring
        entries = tuple(one for one in ring.entries if begin <= one.captured_at <= end)
        return write_clip(ring.read_all(entries), path)

    @contextmanager
    def sampling_at_least(self, fps: float) -> Iterator[None]:
        """Sample at this rate, at least, while the block lasts."""
        with self._changing:
            self._least_fps = [*self._least_fps, fps]
        try:
            yield
        finally:
            with self._changing:
                rest = list(self._least_fps)
                rest.remove(fps)
                self._least_fps = rest

    @property
    def _limits(self) -> StateLimits:
        return StateLimits.of(self._policy.stale_s, self._policy.lost_s, self._config.sample_fps)

    def _wishes(self) -> CaptureWishes:
        fps = max([self._config.sample_fps, *self._least_fps])
        return CaptureWishes(1 / fps, self._config.loop)

    def _renew_ring(self) -> None:
        """Another camera's frames are not this one's past."""
        self._ring.close()
        self._ring = RingBuffer(
            seconds=self._policy.ring_seconds,
            max_bytes=self._policy.ring_bytes,
            sequence=self._ring.newest_sequence,
        )

    def _next_run(self, before: CaptureRun | None, figures: Figures) -> CaptureRun:
        told = None if before is None else before.tracker.told
        previous = None if before is None else before.last_thread
        if self._config.enabled:
            figures = replace(figures, size_wh=None, codec=None, declared_fps=None)
        tracker = Tracker(self._clock, self._limits, self._tell, told=told, figures=figures)
        stop = StopSignal()
        if not self._config.enabled:
            return CaptureRun(tracker, stop, None, previous)
        capture = self._capture(tracker, stop)

        def run() -> None:
            if previous is not None:
                previous.join()
            capture.run()

        thread = threading.Thread(target=run, name=f"capture-{self._config.id}", daemon=True)
        return CaptureRun(tracker, stop, thread, previous)

    def _capture(self, tracker: Tracker, stop: StopSignal) -> Capture:
        source, ring = self._source, self._ring
        return Capture(
            open_source=lambda: self._open_source(
                source, silence_s=tracker.limits.fresh_s, stop=stop
            ),
            wishes=self._wishes,
            ring=ring,
            tracker=tracker,
            clock=self._clock,
            wait=stop.wait,
            start_s=self._started_s,
        )

    def _tell(self, before: StreamState | None, standing: Standing) -> None:
        config, at = self._config, self._since.of(standing.since_s)
        self._on_change(
            StreamChange(config.id, config.name, before, standing.state, at, standing.reason)
        )

    def _age_s(self) -> float | None:
        entries = self._ring.entries
        if not entries:
            return None
        return self._clock.monotonic() - self._started_s - entries[-1].time_s

    def _check_fresh(self) -> None:
        age_s = self._age_s()
        if age_s is None or age_s > self._run.tracker.limits.fresh_s:
            raise self._no_fresh_frame()

    def _no_fresh_frame(self) -> StreamNoFreshFrame:
        state, age_s = self._run.tracker.standing.state, self._age_s()
        has = "has no frame" if age_s is None else f"has no frame newer than {age_s:.1f} s"
        return StreamNoFreshFrame(
            f"live stream {self._config.id} is {state} and {has};"
            f" expected one of the last {self._run.tracker.limits.fresh_s:g} s",
            is_retryable=state not in FINAL,
        )
