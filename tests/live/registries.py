"""Registries of live streams, with real sources of this machine."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import SourceNotPermitted
from contracts.streams import StreamChange, StreamConfig, StreamState
from contracts.web import WebAnswer, WebClient
from live.clock import Clock
from live.sources.openers import OpenSource, PermittedSources
from live.sources.rules import HostRules, SourceRules
from live.streams.live_stream import StreamPolicy
from live.streams.registry import StreamRegistry

NOW = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)
PATIENCE_S = 60.0


class NoWeb:
    """Permits nothing of the web."""

    def check(self, url: str) -> None:
        raise SourceNotPermitted("no web here")

    def get(self, url: str, *, headers: Mapping[str, str], timeout_s: float) -> WebAnswer:
        raise SourceNotPermitted("no web here")


class Changes:
    """What a registry told, and a way to wait for it."""

    def __init__(self) -> None:
        self.seen: list[StreamChange] = []
        self._news = threading.Condition()

    def __call__(self, change: StreamChange) -> None:
        with self._news:
            self.seen.append(change)
            self._news.notify_all()

    def states(self, stream_id: str) -> list[StreamState]:
        return [change.state for change in self.seen if change.stream_id == stream_id]

    def wait_for(self, stream_id: str, state: StreamState, *, count: int = 1) -> None:
        """Wait until a stream has been in a state so many times."""
        self._wait(lambda: self.states(stream_id).count(state) >= count)

    def wait_until(self, stream_id: str, state: StreamState) -> None:
        """Wait until a stream is in a state."""
        self._wait(lambda: self.states(stream_id)[-1:] == [state])

    def _wait(self, is_seen: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(is_seen, PATIENCE_S), self.seen


@contextmanager
def registry(
    root: Path | None = None,
    *,
    max_streams: int = 8,
    stale_s: float = 10,
    lost_s: float = 30,
    open_source: OpenSource | None = None,
    clock: Clock | None = None,
    web: WebClient | None = None,
) -> Iterator[tuple[StreamRegistry, Changes]]:
    """A registry while the block lasts; no thread of it is left after it."""
    rules = SourceRules(HostRules.parse(("*",)), root, web or NoWeb())
    streams = StreamRegistry(
        StreamPolicy(ring_seconds=60, ring_bytes=96_000_000, stale_s=stale_s, lost_s=lost_s),
        max_streams=max_streams,
        check=rules.check,
        open_source=open_source or PermittedSources(rules),
        clock=clock,
    )
    changes = Changes()
    streams.subscribe(changes)
    try:
        yield streams, changes
    finally:
        streams.close()
        left = [one.name for one in threading.enumerate() if one.name.startswith("capture-")]
        assert left == []


def config(stream_id: str, url: str, **wishes: float | bool | str) -> StreamConfig:
    return StreamConfig(stream_id, url, NOW, **wishes)  # type: ignore[arg-type]
