"""One source into one ring buffer, for as long as it takes: open, read, keep, begin again.

Runs in a thread of its own. A source that breaks is tried again for ever; one that falls silent is
opened anew; only what a person must mend ends the capture. Knows nothing of kinds of sources.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from contracts.errors import (
    SourceEnded,
    SourceError,
    SourceNotPermitted,
    SourceStalled,
    SourceUnauthorized,
    SourceUnsupported,
)
from live.capture.backoff import back_off
from live.capture.sampler import Sampler
from live.capture.tracker import Tracker
from live.clock import Clock, moment_of
from live.sources.connection import Connection, VideoPacket, times_of
from live.sources.playback import Playback
from live.streams.ring_buffer import RingBuffer

FINAL = (SourceUnauthorized, SourceUnsupported, SourceNotPermitted)
PLAYED_OUT = "played out"
OUR_FAULT = "a fault of ours; the log has it"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CaptureWishes:
    """What may change while a capture runs.

    Attributes:
        interval_s: Between two frames that are kept.
        loop: Whether a recording begins again at its end.
    """

    interval_s: float
    loop: bool = False


@dataclass(slots=True)
class Capture:
    """The work of one capture thread.

    Attributes:
        open_source: Connects; raises ``SourceError``.
        wait: Sleeps so many seconds, and says whether the capture is to stop.
        start_s: When the stream's time is 0, on the monotonic clock.
    """

    open_source: Callable[[], Connection]
    wishes: Callable[[], CaptureWishes]
    ring: RingBuffer
    tracker: Tracker
    clock: Clock
    wait: Callable[[float], bool]
    start_s: float
    rng: Random = field(default_factory=Random)
    _waits: Iterator[float] = field(init=False)
    _since_s: float = 0.0  # the latest picture, or the connection if there is none yet

    def __post_init__(self) -> None:
        self._waits = back_off(self.rng)

    def run(self) -> None:
        """Capture until told to stop, played out, or only a person can help."""
        delay_s: float | None = 0.0
        while delay_s is not None and not self.wait(delay_s):
            self.tracker.retrying()
            delay_s = self._attempt()

    def _attempt(self) -> float | None:
        """Connect once and read to the end; seconds until the next time, ``None`` for never."""
        try:
            return self._play()
        except FINAL as exc:
            self.tracker.failed(exc.message)
            return None
        except SourceStalled as exc:
            return 0.0 if not self.tracker.facts.awaits_frame else self._back_off(exc.message)
        except SourceError as exc:
            return self._back_off(exc.message)
        except Exception:  # the thread must live: a camera that nobody watches is worse
            logger.exception("capture failed, code=server_error")
            return self._back_off(OUR_FAULT)

    def _back_off(self, reason: str) -> float:
        delay_s = next(self._waits)
        self.tracker.gone(reason, retry_in_s=delay_s)
        return delay_s

    def _play(self) -> float | None:
        connection = self.open_source()
        facts = connection.facts
        self.tracker.connected(facts.codec, facts.declared_fps)
        self._since_s = self.clock.monotonic()
        try:
            num_kept = self._read(connection)
        finally:
            connection.close()
        if self.wait(0):
            return None
        if not facts.is_finite:
            raise SourceEnded("the source ended the connection")
        if num_kept == 0:
            raise SourceUnsupported("the recording has no picture that can be decoded")
        if self.wishes().loop:
            return 0.0
        self.tracker.ended(PLAYED_OUT)
        return None

    def _read(self, connection: Connection) -> int:
        """Keep frames until the packets end or the capture is to stop; how many were kept."""
        sampler = Sampler(connection, self.clock, lambda: self.wishes().interval_s)
        playback = Playback()
        num_kept = 0
        for packet in connection.packets():
            if connection.facts.is_paced and self._pace(playback, packet):
                break
            if self.wait(0):
                break
            self.tracker.heard()
            num_kept += self._keep(sampler, packet)
        return num_kept

    def _pace(self, playback: Playback, packet: VideoPacket) -> bool:
        """Wait until a packet is due; whether the capture is to stop."""
        delay_s = playback.delay_s(times_of(packet)[0], self.clock.monotonic())
        return delay_s > 0 and self.wait(delay_s)

    def _keep(self, sampler: Sampler, packet: VideoPacket) -> bool:
        """Put the frame that is due, if one is, into the buffer."""
        num_dropped = sampler.num_dropped
        sample = sampler.sample(packet)
        if sampler.num_dropped > num_dropped:
            self.tracker.dropped(sampler.num_dropped - num_dropped)
        if sample is None:
            self._check_age()
            return False
        captured_at = moment_of(self.clock, sample.captured_s)
        self.ring.append(sample.rgb, sample.captured_s - self.start_s, captured_at)
        self.tracker.captured(sample.captured_s, sample.size_wh)
        self._waits = back_off(self.rng)
        self._since_s = self.clock.monotonic()
        return True

    def _check_age(self) -> None:
        """Give a connection up whose packets have given no picture for too long."""
        if self.clock.monotonic() - self._since_s > self.tracker.limits.fresh_s:
            raise SourceStalled("packets come, and no picture in them can be decoded")
