"""What is removed when its time is over, and what is not."""

from datetime import timedelta

from contracts.event_queries import DeliveryQuery
from live.store import deliveries, events
from live.store.database import Database
from live.store.retention import prune
from tests.live.stage import at
from tests.live.store.records import an_event, over, tell
from tests.live.store.test_deliveries import HOOK, post

DAY_S = 86400.0


async def cursors(database: Database) -> list[int]:
    found = await database.read(lambda c: events.messages_after(c, 0, 1000))
    return [message.cursor for message in found]


async def test_events_go_when_they_ended_long_ago(database: Database) -> None:
    old, young, still_open = an_event(0), an_event(0), an_event(0)
    for event, ended_s in ((old, DAY_S), (young, 3 * DAY_S)):
        await tell(database, event)
        await tell(database, over(event, ended_s), "end")
    await tell(database, still_open)
    gone = await database.write(lambda c: prune(c, at(2 * DAY_S)))
    assert gone == [old.id]
    kept = await database.read(events.open_events)
    assert [event.id for event in kept] == [still_open.id]
    assert (await database.read(lambda c: events.get_event(c, young.id))).state == "ended"


async def test_messages_are_cut_off_at_the_old_end_only(database: Database) -> None:
    event = an_event(0)
    for at_s in (0, 1, 10, 2, 11):  # the clock was put back between the third and the fourth
        await tell(database, event, "update", at_s)
    await database.write(lambda c: prune(c, at(5)))
    assert await cursors(database) == [3, 4, 5]
    assert await database.read(events.bounds) == events.Bounds(3, 5)
    await database.write(lambda c: prune(c, at(100)))
    assert await cursors(database) == []
    assert await database.read(events.bounds) == events.Bounds(6, 5)
    await database.write(lambda c: prune(c, at(100)))


async def test_there_are_never_more_messages_than_may_be(database: Database) -> None:
    event = an_event(0)
    for at_s in range(10):
        await tell(database, event, "update", at_s)
    await database.write(lambda c: prune(c, at(0), max_messages=4))
    assert await cursors(database) == [7, 8, 9, 10]


async def test_what_is_still_to_be_sent_stays_and_goes_with_its_event(database: Database) -> None:
    event = over(an_event(0), 1)
    await post(database, event, 1, HOOK, kind="end")
    cutoff = at(0) + timedelta(days=40)
    assert await database.write(lambda c: prune(c, cutoff)) == []
    waiting = await database.read(
        lambda c: deliveries.next_due(c, deliveries.sink_key(HOOK), cutoff)
    )
    assert waiting is not None
    assert waiting.message.event.id == event.id
    await database.write(lambda c: deliveries.settle(c, waiting.id, "dead", "status 410"))
    assert await database.write(lambda c: prune(c, cutoff)) == [event.id]
    assert await database.read(lambda c: deliveries.find(c, DeliveryQuery())) == []
