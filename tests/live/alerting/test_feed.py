"""Readers get every message after it is stored, in order, or are told what they missed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import TooManyViewers
from contracts.event_queries import EventFilter
from contracts.events import Event, EventMessage
from contracts.feeds import FeedGap, FeedHello, FeedItem, feed_json
from live.alerting.feed import MAX_BEHIND, Feed, FeedReader
from live.alerting.journal import Entry, Journal
from live.alerting.notice import Notice
from live.sinks.book import SinkBook
from live.store.database import Database, open_database
from live.store.events import bounds
from live.store.retention import prune
from tests.live.stage import at
from tests.live.store.records import an_event

ALL = EventFilter()


class Log:
    """A store, a journal and a feed."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self.database = database
        self.feed = feed
        self.journal = Journal(database, SinkBook({}))
        self.journal.listen(feed.publish)

    async def tell(self, *events: Event) -> list[EventMessage]:
        entries = [Entry(Notice("begin", event, at(0), None), ()) for event in events]
        return await self.journal.record(entries)

    async def many(self, count: int) -> None:
        event = an_event(0)
        for _ in range(count // 100):
            await self.tell(*[event] * 100)


async def open_log(folder: Path, max_readers: int = 64) -> Log:
    database = open_database("", folder)
    return Log(database, Feed(database, await database.read(bounds), max_readers))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    opened = await open_log(tmp_path)
    yield opened
    opened.feed.close()
    await opened.database.close()


def short(item: FeedItem) -> str:
    match item:
        case FeedHello(cursor, oldest):
            return f"hello {cursor} {oldest}"
        case FeedGap(first, last):
            return f"gap {first} {last}"
        case EventMessage(cursor):
            return str(cursor)


async def take(reader: FeedReader, count: int) -> list[str]:
    return [short(await anext(reader)) for _ in range(count)]


async def test_a_reader_from_now_gets_what_comes(log: Log) -> None:
    await log.tell(an_event(0))
    reader = await log.feed.subscribe("sse", ALL)
    await log.tell(an_event(1), an_event(2))
    assert await take(reader, 3) == ["hello 1 1", "2", "3"]


async def test_a_message_comes_only_when_it_is_stored(log: Log) -> None:
    reader = await log.feed.subscribe("sse", ALL)
    await anext(reader)
    waiting = asyncio.ensure_future(anext(reader))
    [message] = await log.tell(an_event(1))
    assert await waiting == message


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, ["hello 0 1", "1", "2", "3"]),
        (1, ["hello 1 1", "2", "3"]),
        (3, ["hello 3 1"]),
        (99, ["hello 3 1"]),  # a cursor of another database
    ],
)
async def test_a_reader_resumes_after_its_cursor(
    tmp_path: Path, after: int, expected: list[str]
) -> None:
    """Over a restart, too: then nothing is in memory."""
    log = await open_log(tmp_path)
    await log.tell(an_event(0), an_event(1), an_event(2))
    for _ in range(2):
        reader = await log.feed.subscribe("sse", ALL, after)
        assert await take(reader, len(expected)) == expected
        await log.database.close()
        log = await open_log(tmp_path)
    reader = await log.feed.subscribe("sse", ALL, after)
    await log.tell(an_event(3))
    assert await take(reader, len(expected) + 1) == [*expected, "4"]
    await log.database.close()


async def test_messages_that_are_not_kept_are_told_as_a_gap(log: Log) -> None:
    await log.tell(*(an_event(second) for second in range(6)))
    await log.database.write(lambda c: prune(c, at(-1), max_messages=2))
    fresh = Log(log.database, Feed(log.database, await log.database.read(bounds), 64))
    resumed = await fresh.feed.subscribe("sse", ALL, after=1)
    assert await take(resumed, 4) == ["hello 1 5", "gap 2 4", "5", "6"]
    oldest = await fresh.feed.subscribe("sse", ALL, after=0)
    assert await take(oldest, 3) == ["hello 4 5", "5", "6"]


async def test_when_nothing_is_kept_any_more_that_is_a_gap_too(log: Log) -> None:
    await log.tell(an_event(0), an_event(1))
    await log.database.write(lambda c: prune(c, at(99)))
    fresh = Log(log.database, Feed(log.database, await log.database.read(bounds), 64))
    reader = await fresh.feed.subscribe("sse", ALL, after=1)
    assert await take(reader, 2) == ["hello 1 3", "gap 2 2"]
    await fresh.tell(an_event(2))
    assert await take(reader, 1) == ["3"]


async def test_a_reader_gets_only_what_it_wants(log: Log) -> None:
    reader = await log.feed.subscribe("ws", EventFilter(stream_id="yard"), after=0)
    await log.tell(an_event(0), an_event(1, stream_id="yard"), an_event(2))
    await log.tell(an_event(3, stream_id="yard"))
    assert await take(reader, 3) == ["hello 0 1", "2", "4"]


async def test_old_messages_are_read_page_by_page_and_new_ones_follow(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.many(1500)
    await log.database.close()
    log = await open_log(tmp_path)
    reader = await log.feed.subscribe("sse", ALL, after=0)
    assert await take(reader, 700) == ["hello 0 1", *map(str, range(1, 700))]
    await log.many(1200)  # it replays: it may be as far behind as it likes
    assert await take(reader, 2001) == [*map(str, range(700, 2701))]
    assert reader.ended_by is None
    await log.database.close()


async def test_a_reader_that_fell_too_far_behind_is_closed_and_can_resume(log: Log) -> None:
    reader = await log.feed.subscribe("ws", ALL)
    await log.tell(an_event(0))
    assert await take(reader, 2) == ["hello 0 1", "1"]
    await log.many(MAX_BEHIND)
    assert await take(reader, 1) == ["2"]
    slow = await log.feed.subscribe("ws", ALL)
    await anext(slow)
    await log.tell(an_event(0))
    assert await take(slow, 1) == [str(MAX_BEHIND + 2)]
    await log.many(MAX_BEHIND + 100)
    with pytest.raises(StopAsyncIteration):
        await anext(slow)
    assert slow.ended_by == "lagging"
    again = await log.feed.subscribe("ws", ALL, after=MAX_BEHIND + 2)
    assert (await take(again, 2))[1] == str(MAX_BEHIND + 3)


async def test_no_more_read_than_may_and_a_place_is_free_again(tmp_path: Path) -> None:
    log = await open_log(tmp_path, max_readers=2)
    first = await log.feed.subscribe("sse", ALL)
    await log.feed.subscribe("jps", ALL)
    assert log.feed.num_readers == {"sse": 1, "jps": 1}
    with pytest.raises(TooManyViewers, match="VLM_MAX_FEEDS"):
        await log.feed.subscribe("ws", ALL)
    first.close()
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    assert first.ended_by == "closed"
    await log.feed.subscribe("ws", ALL)
    assert log.feed.num_readers == {"ws": 1, "jps": 1}
    await log.database.close()


async def test_a_place_is_free_again_when_the_store_could_not_be_read(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.database.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        await log.feed.subscribe("sse", ALL)
    assert log.feed.num_readers == {}


async def test_at_shutdown_every_reader_ends_and_none_comes_in(log: Log) -> None:
    reader = await log.feed.subscribe("sse", ALL)
    await anext(reader)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    log.feed.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert reader.ended_by == "shutdown"
    late = await log.feed.subscribe("sse", ALL)
    assert late.ended_by == "shutdown"
    assert log.feed.num_readers == {}


async def test_many_readers_each_get_everything_in_order(log: Log) -> None:
    readers = [await log.feed.subscribe("sse", ALL) for _ in range(20)]
    reading = [asyncio.ensure_future(take(reader, 201)) for reader in readers]
    await asyncio.gather(*(log.tell(an_event(second)) for second in range(200)))
    for told in await asyncio.gather(*reading):
        assert told == ["hello 0 1", *map(str, range(1, 201))]


def test_items_as_feeds_send_them() -> None:
    assert feed_json(FeedHello(1841, 12), "") == {"kind": "hello", "cursor": "1841", "oldest": "12"}
    assert feed_json(FeedGap(2, 4), "") == {"kind": "gap", "from": "2", "to": "4"}
    shown = feed_json(EventMessage(7, "end", at(0), an_event(0)), "")
    assert (shown["kind"], shown["cursor"]) == ("end", "7")
