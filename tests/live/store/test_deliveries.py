"""The outbox: what is next for a sink, and what became of what."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from contracts.alert_stats import Backlog
from contracts.errors import NotFound
from contracts.event_queries import DeliveryQuery
from contracts.events import Delivery, Event, EventMessage
from contracts.notify import AppriseSink, MessageKind, NamedSink, Sink, WebhookSink
from live.alerting.notice import Notice
from live.store import deliveries, events
from live.store.database import Database
from tests.live.stage import at
from tests.live.store.records import an_event, over

OPS, HOOK = NamedSink("ops"), WebhookSink("https://a/", "whsec_eA==")
ALL = DeliveryQuery(limit=500)


async def post(
    database: Database, event: Event, at_s: float, *sinks: Sink, kind: MessageKind = "begin"
) -> EventMessage:
    def work(connection: Connection) -> EventMessage:
        message = events.append(connection, Notice(kind, event, at(at_s), kind))
        deliveries.add(connection, message, kind, sinks)
        return message

    return await database.write(work)


async def due(database: Database, sink: Sink, at_s: float) -> Delivery | None:
    key = deliveries.sink_key(sink)
    return await database.read(lambda c: deliveries.next_due(c, key, at(at_s)))


async def test_a_message_goes_into_the_outbox_once_for_each_sink(database: Database) -> None:
    message = await post(database, an_event(0), 1, OPS, HOOK, OPS)
    found = await database.read(lambda c: deliveries.find(c, ALL))
    assert {delivery.sink for delivery in found} == {OPS, HOOK}
    for delivery in found:
        assert (delivery.message, delivery.kind) == (message, "begin")
        assert (delivery.state, delivery.num_attempts) == ("pending", 0)
        assert (delivery.next_at, delivery.give_up_at) == (at(1), at(1) + timedelta(days=1))
    assert len({delivery.id for delivery in found}) == 2
    assert all(message.event.id in delivery.id for delivery in found)


async def test_each_sink_has_its_own_queue(database: Database) -> None:
    await post(database, an_event(0), 0, OPS)
    assert await due(database, HOOK, 9) is None
    assert (await due(database, OPS, 9)) is not None
    assert [*await database.read(deliveries.due_times)] == [deliveries.sink_key(OPS)]


async def test_the_messages_of_one_event_keep_their_order(database: Database) -> None:
    event = an_event(0)
    begin = await post(database, event, 0, OPS)
    end = await post(database, over(event, 5), 5, OPS, kind="end")
    first = await due(database, OPS, 6)
    assert first is not None
    assert first.message == begin
    await database.write(lambda c: deliveries.put_off(c, first.id, at(60), "refused"))
    assert await due(database, OPS, 59) is None  # the end waits behind the begin
    await database.write(lambda c: deliveries.settle(c, first.id, "done", None))
    second = await due(database, OPS, 59)
    assert second is not None
    assert second.message == end


async def test_another_event_need_not_wait(database: Database) -> None:
    stuck, other = an_event(0), an_event(1)
    await post(database, stuck, 0, OPS)
    await post(database, other, 1, OPS)
    first = await due(database, OPS, 2)
    assert first is not None
    await database.write(lambda c: deliveries.put_off(c, first.id, at(60), "refused"))
    following = await due(database, OPS, 2)
    assert following is not None
    assert following.message.event.id == other.id
    assert (await database.read(deliveries.due_times))[deliveries.sink_key(OPS)] < at(1)
    await database.write(lambda c: deliveries.put_off(c, following.id, at(50), "refused"))
    assert await database.read(deliveries.due_times) == {deliveries.sink_key(OPS): at(50)}


async def test_what_was_given_up_holds_nothing_back(database: Database) -> None:
    event = an_event(0)
    await post(database, event, 0, OPS)
    await post(database, over(event, 5), 5, OPS, kind="end")
    first = await due(database, OPS, 6)
    assert first is not None
    await database.write(lambda c: deliveries.settle(c, first.id, "dead", "gone"))
    following = await due(database, OPS, 6)
    assert following is not None
    assert following.kind == "end"


async def test_a_clock_that_was_put_back_delays_nothing_new(database: Database) -> None:
    await post(database, an_event(0), 10_000, OPS)
    assert await due(database, OPS, 0) is not None


async def test_attempts_are_counted_and_their_last_error_kept(database: Database) -> None:
    await post(database, an_event(0), 0, HOOK)
    found = await due(database, HOOK, 0)
    assert found is not None
    await database.write(lambda c: deliveries.put_off(c, found.id, at(1), "status 500"))
    await database.write(lambda c: deliveries.settle(c, found.id, "dead", "status 410"))
    [dead] = await database.read(lambda c: deliveries.find(c, DeliveryQuery(state="dead")))
    assert (dead.num_attempts, dead.last_error, dead.sink) == (2, "status 410", HOOK)
    assert await database.read(deliveries.due_times) == {}


async def test_a_dead_letter_can_be_sent_again_for_another_day(database: Database) -> None:
    await post(database, an_event(0), 0, HOOK)
    found = await due(database, HOOK, 0)
    assert found is not None
    await database.write(lambda c: deliveries.settle(c, found.id, "dead", "status 410"))
    revived = await database.write(lambda c: deliveries.revive(c, found.id, at(9000)))
    assert (revived.state, revived.next_at) == ("pending", at(9000))
    assert revived.give_up_at == at(9000) + timedelta(days=1)
    again = await due(database, HOOK, 9000)
    assert again is not None
    assert again.id == found.id  # sinks know it as a repeat
    with pytest.raises(NotFound, match="delivery"):
        await database.write(lambda c: deliveries.revive(c, "none", at(0)))


async def test_deliveries_are_listed_newest_first(database: Database) -> None:
    first, second = an_event(0), an_event(1)
    for event in (first, second):
        await post(database, event, 0, OPS, AppriseSink("ntfy://a"))
    found = await database.read(lambda c: deliveries.find(c, ALL))
    assert [delivery.message.cursor for delivery in found] == [2, 2, 1, 1]
    of_first = DeliveryQuery(event_id=first.id, limit=1)
    [one] = await database.read(lambda c: deliveries.find(c, of_first))
    assert one.message.event.id == first.id


async def test_the_backlog_says_how_much_waits_and_since_when(database: Database) -> None:
    assert await database.read(deliveries.backlog) == Backlog(0, None)
    await post(database, an_event(0), 5, OPS, HOOK)
    await post(database, an_event(1), 6, OPS)
    assert await database.read(deliveries.backlog) == Backlog(3, at(5))


def test_sinks_are_told_apart_without_saying_what_they_are() -> None:
    same_url = (WebhookSink("https://a/"), WebhookSink("https://a/", "key"))
    keys = {deliveries.sink_key(sink) for sink in (*same_url, OPS, AppriseSink("ntfy://a"))}
    assert len(keys) == 4
    assert all(len(key) == 16 for key in keys)
