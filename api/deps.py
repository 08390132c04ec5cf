"""What the routes work with, given per request."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from api.readiness import Readiness
from contracts.alerts import Alerts
from contracts.generation import ModelRunner
from contracts.media import MediaReader
from contracts.media_stats import CountedMediaReader
from contracts.previews import Previews
from contracts.settings import Settings
from contracts.stream_frames import NoStreams, StreamFrames
from contracts.stream_keeping import StreamKeeper
from contracts.streams import LiveStreams


def _now() -> datetime:
    return datetime.now(UTC)


def _no_rules(stream_id: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Deps:
    """What a question needs from the rest of Lookout."""

    settings: Settings
    runner: ModelRunner
    media: MediaReader
    version: str
    streams: StreamFrames = field(default_factory=NoStreams)
    started_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDeps(Deps):
    """Everything the HTTP surface needs from the rest of Lookout.

    Attributes:
        streams: To look at live streams; ``stream_keeper`` is to change them.
        num_rules: How many rules look at a stream.
        patience_s: How long a client may take nothing of what has no length: it is gone then.
        stopping: Set when the service begins to stop; what has no end of its own ends then.
    """

    media: CountedMediaReader
    streams: LiveStreams
    stream_keeper: StreamKeeper
    previews: Previews
    readiness: Readiness
    num_rules: Callable[[str], int] = _no_rules
    patience_s: float = 60.0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


GetDeps = Callable[[], ServiceDeps]
GetAlerts = Callable[[], Alerts]
