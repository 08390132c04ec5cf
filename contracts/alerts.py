"""What the rest of the house may do with rules, events, feeds and deliveries.

Protocols only. Everything belongs to one event loop; every call may raise ``StorageUnavailable``,
and then nothing happened.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from contracts.alert_stats import AlertStats
from contracts.event_queries import DeliveryQuery, EventFilter, EventPage, EventQuery
from contracts.events import Delivery, Event
from contracts.feeds import FeedEnd, FeedItem, ReaderKind
from contracts.rule_tests import RuleTests
from contracts.rules import Rule, RuleStatus
from contracts.streams import StreamChange, StreamConfig


class Rules(Protocol):
    """Rules as people add, change and delete them."""

    def all(self) -> tuple[Rule, ...]:
        """Every rule, in the order they were added."""
        ...

    def get(self, rule_id: str) -> Rule:
        """One rule, or ``RuleNotFound``."""
        ...

    def statuses(self, rule: Rule) -> tuple[RuleStatus, ...]:
        """How a rule stands on each of its streams."""
        ...

    async def add(self, rule: Rule) -> Rule:
        """Add a rule; its moments are set here.

        Raises:
            RequestError: It makes no sense, its id is taken, or there are too many.
            SinkNotAllowed, StreamNotFound: It names what there is not, or what may not be used.
        """
        ...

    async def change(self, rule_id: str, change: Callable[[Rule], Rule]) -> Rule:
        """Replace a rule by what ``change`` makes of it as it is then; it may be asked twice.

        Raises:
            RuleNotFound: There is none.
            RequestError, SinkNotAllowed, StreamNotFound: As for ``add``.
        """
        ...

    async def delete(self, rule_id: str) -> None:
        """Delete a rule, or ``RuleNotFound``; its events end and stay."""
        ...

    async def replace_jps(self, prompts: Sequence[str], stream_id: str | None) -> None:
        """Replace the façade's rules by a list.

        Raises:
            RequestError: A prompt is blank or too long; ``param`` is ``alerts[i]``.
            RuleLimitReached, StreamNotFound: As they say.
        """
        ...


class Events(Protocol):
    """Events and their evidence."""

    async def page(self, query: EventQuery) -> EventPage:
        """A page of events; ``RequestError`` when ``page`` is none of this query's."""
        ...

    async def get(self, event_id: str) -> Event:
        """One event, or ``EventNotFound``."""
        ...

    async def frame(self, event_id: str, which: Literal["begin", "peak"]) -> Path:
        """The file of an event's picture, JPEG.

        Raises:
            EventNotFound, EvidenceNotFound, EvidenceGone: As they say.
        """
        ...

    async def clip(self, event_id: str) -> Path:
        """The file of an event's clip, MP4.

        Raises:
            EventNotFound, EvidenceNotFound, EvidenceGone: As they say.
        """
        ...


class EventReader(Protocol):
    """One reader of the feed; iterate it, then close it."""

    def __aiter__(self) -> AsyncIterator[FeedItem]:
        """Itself."""
        ...

    async def __anext__(self) -> FeedItem:
        """The next item; waits for it."""
        ...

    @property
    def ended_by(self) -> FeedEnd | None:
        """Why the iteration ended; ``None`` while it goes on."""
        ...

    def close(self) -> None:
        """Stop reading."""
        ...


class Feeds(Protocol):
    """Messages as they come."""

    async def subscribe(
        self, kind: ReaderKind, wanted: EventFilter, after: int | None = None
    ) -> EventReader:
        """Begin to read after a cursor; 0 is from the oldest kept, ``None`` from now.

        Raises:
            TooManyViewers: As many read as may.
        """
        ...


class Deliveries(Protocol):
    """Messages on their way to sinks."""

    async def find(self, query: DeliveryQuery) -> list[Delivery]:
        """Deliveries of a query, newest first."""
        ...

    async def retry(self, delivery_id: str) -> Delivery:
        """Send once more what was sent or given up, or ``NotFound``."""
        ...


class WatchedStreams(Protocol):
    """What has to be told of live streams, so that rules know of them."""

    async def put_stream(self, config: StreamConfig) -> None:
        """Store a stream, or what changed of it, for the next start."""
        ...

    async def remove_stream(self, stream_id: str) -> None:
        """Forget a stream; its rules go with it, its events end and stay."""
        ...

    async def stream_changed(self, change: StreamChange) -> None:
        """Take note of a stream's new state."""
        ...


class Alerts(Protocol):
    """All of it."""

    @property
    def rules(self) -> Rules:
        """What is watched for."""
        ...

    @property
    def tests(self) -> RuleTests:
        """What a rule would say now."""
        ...

    @property
    def events(self) -> Events:
        """What happened."""
        ...

    @property
    def feed(self) -> Feeds:
        """What happens."""
        ...

    @property
    def outbox(self) -> Deliveries:
        """Who is told."""
        ...

    async def stats(self) -> AlertStats:
        """What was done so far, and how it stands; also while the store cannot be used."""
        ...

    async def check(self) -> None:
        """Refuse when the store cannot be written."""
        ...
