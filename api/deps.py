"""What the routes work with, given per request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts.generation import ModelRunner
from contracts.media import MediaReader
from contracts.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything the HTTP surface needs from the rest of Lookout."""

    settings: Settings
    runner: ModelRunner
    media: MediaReader
    version: str
    started_at: datetime = field(default_factory=_now)


GetDeps = Callable[[], Deps]
