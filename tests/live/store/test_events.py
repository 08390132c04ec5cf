"""Messages take the next cursor each, and an event is as its latest message says."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from contracts.errors import EventNotFound, RequestError
from contracts.event_queries import EventFilter, EventQuery
from contracts.events import EventMessage
from live.alerting.notice import Notice
from live.store import events as stored
from live.store.database import Database, open_database
from live.store.queries import page
from tests.live.stage import at
from tests.live.store.records import an_event, over, tell


async def read_page(
    database: Database,
    **fields: Any,  # noqa: ANN401  # of EventQuery
) -> tuple[list[str], str | None, int]:
    found = await database.read(lambda c: page(c, EventQuery(**fields)))
    return [event.id for event in found.events], found.next, found.latest


async def read_all(
    database: Database,
    **fields: Any,  # noqa: ANN401  # of EventQuery
) -> list[str]:
    """Every page of a query, one after the other."""
    ids: list[str] = []
    token = None
    while True:
        more, token, _ = await read_page(database, page=token, **fields)
        ids += more
        if token is None:
            return ids


async def test_cursors_count_messages_without_a_gap(database: Database) -> None:
    event = an_event(0)
    messages = [await tell(database, event), await tell(database, over(event, 9), "end")]
    messages.append(await tell(database, an_event(5)))
    assert [message.cursor for message in messages] == [1, 2, 3]
    assert [message.event.cursor for message in messages] == [1, 2, 3]
    assert await database.read(lambda c: stored.messages_after(c, 0, 10)) == messages
    assert await database.read(lambda c: stored.messages_after(c, 1, 1)) == messages[1:2]
    assert await database.read(stored.bounds) == stored.Bounds(1, 3)


async def test_a_transaction_that_fails_takes_no_cursor(database: Database) -> None:
    def fail(connection: Connection) -> None:
        stored.append(connection, Notice("begin", an_event(0), at(0), None))
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(fail)
    assert (await tell(database, an_event(0))).cursor == 1


async def test_many_at_once_leave_no_gap_and_readers_see_none(database: Database) -> None:
    writes = [tell(database, an_event(second)) for second in range(40)]
    reads = [database.read(lambda c: stored.messages_after(c, 0, 100)) for _ in range(20)]
    written, seen = await asyncio.gather(asyncio.gather(*writes), asyncio.gather(*reads))
    assert sorted(message.cursor for message in written) == [*range(1, 41)]
    for messages in seen:
        assert [message.cursor for message in messages] == [*range(1, len(messages) + 1)]


async def test_cursors_go_on_after_a_restart_and_when_all_messages_are_gone(
    database_url: str, tmp_path: Path
) -> None:
    opened = open_database(database_url, tmp_path)
    assert await opened.read(stored.bounds) == stored.Bounds(1, 0)
    await tell(opened, an_event(0))
    await opened.close()
    opened = open_database(database_url, tmp_path)
    assert (await tell(opened, an_event(1))).cursor == 2
    await opened.close()


async def test_an_event_is_read_as_its_latest_message_has_it(database: Database) -> None:
    event = an_event(0)
    await tell(database, event)
    ended = (await tell(database, over(event, 9), "end")).event
    assert await database.read(lambda c: stored.get_event(c, event.id)) == ended
    assert await database.read(stored.open_events) == []
    with pytest.raises(EventNotFound):
        await database.read(lambda c: stored.get_event(c, "evt_none"))


async def test_events_are_listed_newest_first_page_by_page(database: Database) -> None:
    same_time = [an_event(3) for _ in range(3)]
    all_of_them = [an_event(1), an_event(2), *same_time, an_event(4)]
    for event in reversed(all_of_them):
        await tell(database, event)
    ids = sorted(event.id for event in all_of_them)
    for limit in (1, 2, 5, 6, 500):
        assert await read_all(database, limit=limit) == ids[::-1]
        assert await read_all(database, limit=limit, order="asc") == ids
    assert (await read_page(database, limit=6))[1] is None
    assert (await read_page(database))[2] == 6


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "abcd"),
        ({"type": "stream_lost"}, "c"),
        ({"severity": "critical"}, "b"),
        ({"stream_id": "yard"}, "cd"),
        ({"rule_id": "r-1"}, "ab"),
        ({"state": "open"}, "abc"),
        ({"state": "ended"}, "d"),
        ({"since": at(20)}, "bcd"),
        ({"until": at(20)}, "a"),
        ({"since": at(20), "until": at(40)}, "bc"),
        ({"stream_id": "yard", "state": "open"}, "c"),
        ({"rule_id": "none"}, ""),
    ],
)
async def test_filters(database: Database, fields: dict[str, Any], expected: str) -> None:
    made = {
        "a": an_event(10, rule_id="r-1"),
        "b": an_event(20, rule_id="r-1", severity="critical"),
        "c": an_event(30, type="stream_lost", stream_id="yard"),
        "d": over(an_event(40, stream_id="yard"), 50),
    }
    for event in made.values():
        await tell(database, event)
    names = {event.id: name for name, event in made.items()}
    found = await read_all(database, order="asc", limit=2, **fields)
    assert "".join(names[event_id] for event_id in found) == expected


async def test_after_a_cursor_come_events_with_newer_messages_in_cursor_order(
    database: Database,
) -> None:
    first, second, third = (an_event(second) for second in (1, 2, 3))
    for event in (first, second, third):
        await tell(database, event)
    await tell(database, over(first, 9), "end")
    assert await read_all(database, after=0, limit=1) == [second.id, third.id, first.id]
    assert await read_all(database, after=2) == [third.id, first.id]
    assert await read_all(database, after=4) == []
    assert await read_all(database, after=0, state="open") == [second.id, third.id]


async def test_a_page_belongs_to_its_query(database: Database) -> None:
    for second in range(3):
        await tell(database, an_event(second))
    _, token, _ = await read_page(database, limit=1)
    assert token is not None
    assert (await read_page(database, limit=2, page=token))[0]
    for fields in ({"order": "asc"}, {"state": "open"}, {"after": 0}):
        with pytest.raises(RequestError, match="same filters") as caught:
            await read_page(database, page=token, **fields)
        assert caught.value.param == "page"


@pytest.mark.parametrize("token", ["", "x", "e30", "W10", "WzEsMl0", "é", "WyJhIiwgImIiLCAiYyJd"])
async def test_a_page_that_is_none_of_ours_is_refused(database: Database, token: str) -> None:
    with pytest.raises(RequestError, match="page: expected"):
        await read_page(database, page=token)


def test_a_feed_filters_by_what_an_event_is() -> None:
    event = an_event(0, rule_id="r-1")
    assert EventFilter().passes(event)
    assert EventFilter("alert", "warning", "door", "r-1").passes(event)
    for other in (
        {"type": "stream_lost"},
        {"severity": "info"},
        {"stream_id": "x"},
        {"rule_id": "x"},
    ):
        assert not replace(EventFilter(), **other).passes(event)  # type: ignore[arg-type]


def test_messages_compare_by_value() -> None:
    event = an_event(0)
    assert EventMessage(1, "begin", at(0), event) == EventMessage(1, "begin", at(0), event)
