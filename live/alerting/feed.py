"""Messages to whoever reads along, after they are stored, in the order of their cursors.

The latest messages are in memory, earlier ones are read from the store. A reader holds nothing but
its place, so a slow one costs no memory; one that falls out of what is in memory is closed, and
resumes by cursor. Belongs to one event loop.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from itertools import islice

from contracts.errors import TooManyViewers
from contracts.event_queries import EventFilter
from contracts.events import EventMessage
from contracts.feeds import FeedEnd, FeedGap, FeedHello, FeedItem, ReaderKind
from live.store.database import Database
from live.store.events import Bounds, bounds, messages_after

MAX_BEHIND = 1000
PAGE = 200


class Feed:
    """The end of the message log, and its readers."""

    def __init__(self, database: Database, kept: Bounds, max_readers: int) -> None:
        self._database = database
        self._latest = kept.latest
        self._tail: deque[EventMessage] = deque(maxlen=MAX_BEHIND)
        self._max_readers = max_readers
        self._readers: set[FeedReader] = set()
        self._is_closed = False

    @property
    def latest(self) -> int:
        """Cursor of the newest message."""
        return self._latest

    @property
    def num_readers(self) -> Counter[ReaderKind]:
        """How many read along, by kind."""
        return Counter(reader.kind for reader in self._readers)

    def publish(self, messages: Sequence[EventMessage]) -> None:
        """Hand out messages that were committed; they must follow those before without a gap."""
        for message in messages:
            assert message.cursor == self._latest + 1
            self._latest = message.cursor
            self._tail.append(message)
        for reader in self._readers:
            reader.wake()

    async def subscribe(
        self, kind: ReaderKind, wanted: EventFilter, after: int | None = None
    ) -> "FeedReader":
        """Begin to read.

        Args:
            kind: Only counted.
            wanted: Which events.
            after: Cursor of the last message the reader knows; 0 is from the oldest kept, ``None``
                from now.

        Raises:
            TooManyViewers: As many read as may.
            StorageUnavailable: The store cannot be read.
        """
        if len(self._readers) >= self._max_readers:
            message = f"{self._max_readers} event feeds are open (VLM_MAX_FEEDS); close one"
            raise TooManyViewers(message)
        reader = FeedReader(self, kind, wanted, self._latest)
        self._readers.add(reader)  # before the wait below, so that no more than may come in
        try:
            kept = await self._database.read(bounds)
        except BaseException:
            reader.close()
            raise
        reader.start(after, kept)
        if self._is_closed:
            reader.end("shutdown")
        return reader

    def close(self) -> None:
        """End every reader, and those to come."""
        self._is_closed = True
        for reader in [*self._readers]:
            reader.end("shutdown")

    def leave(self, reader: "FeedReader") -> None:
        """Forget a reader."""
        self._readers.discard(reader)

    def recent(self, after: int) -> list[EventMessage] | None:
        """The messages after a cursor, or ``None`` when they are not in memory any more."""
        num_missed = self._latest - after
        if num_missed > len(self._tail):
            return None
        return list(islice(self._tail, len(self._tail) - num_missed, None))

    async def stored(self, after: int) -> list[EventMessage]:
        """Some of the messages after a cursor, from the store."""
        return await self._database.read(lambda c: messages_after(c, after, PAGE))


class FeedReader(AsyncIterator[FeedItem]):
    """One reader's place; iterate it, then ``close`` it.

    Attributes:
        kind: How it reads.
        ended_by: Why the iteration ended.
    """

    def __init__(self, feed: Feed, kind: ReaderKind, wanted: EventFilter, place: int) -> None:
        self.kind = kind
        self.ended_by: FeedEnd | None = None
        self._feed = feed
        self._wanted = wanted
        self._place = place
        self._replays = True
        self._ready: deque[FeedItem] = deque()
        self._awake = asyncio.Event()

    def start(self, after: int | None, kept: Bounds) -> None:
        """Take the place to read from, and greet."""
        if after is not None:
            self._place = kept.oldest - 1 if after == 0 else min(after, kept.latest)
        self._ready.append(FeedHello(self._place, kept.oldest))

    async def __anext__(self) -> FeedItem:
        """The next item; waits for it.

        Raises:
            StorageUnavailable: Earlier messages cannot be read now.
        """
        while not self._ready and self.ended_by is None:
            await self._advance()
        if self.ended_by is not None:
            raise StopAsyncIteration
        return self._ready.popleft()

    def wake(self) -> None:
        """Look again whether there is something to read."""
        self._awake.set()

    def end(self, why: FeedEnd) -> None:
        """End the iteration."""
        self.ended_by = self.ended_by or why
        self._feed.leave(self)
        self.wake()

    def close(self) -> None:
        """Stop reading."""
        self.end("closed")

    async def _advance(self) -> None:
        """Find items, or wait for some."""
        self._awake.clear()
        recent = self._feed.recent(self._place)
        if recent is not None:
            self._replays = False
            self._take(recent)
            if not recent:
                await self._awake.wait()
        elif self._replays:
            self._take_stored(await self._feed.stored(self._place))
        else:
            self.end("lagging")

    def _take_stored(self, messages: list[EventMessage]) -> None:
        """Take what is kept after the place; what is not is told as a gap."""
        next_kept = messages[0].cursor if messages else self._feed.latest + 1
        if next_kept > self._place + 1:
            self._ready.append(FeedGap(self._place + 1, next_kept - 1))
            self._place = next_kept - 1
        self._take(messages)

    def _take(self, messages: list[EventMessage]) -> None:
        self._ready.extend(one for one in messages if self._wanted.passes(one.event))
        if messages:
            self._place = messages[-1].cursor
