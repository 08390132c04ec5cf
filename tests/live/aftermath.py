"""What must be so after kills: of what is stored, and of what a receiver of webhooks got."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from contracts.event_queries import DeliveryQuery
from contracts.events import Delivery, EventMessage
from live.store import deliveries, events
from live.store.database import open_database
from tests.live.receiver import Receiver


async def stored(data_dir: Path) -> tuple[list[EventMessage], list[Delivery]]:
    database = open_database("", data_dir)
    messages = await database.read(lambda c: events.messages_after(c, 0, 100_000))
    sent = await database.read(lambda c: deliveries.find(c, DeliveryQuery(limit=100_000)))
    await database.close()
    return messages, sent


def check_messages(messages: list[EventMessage]) -> None:
    """Cursors without a gap; on each rule and stream one event after the other, each whole."""
    assert [message.cursor for message in messages] == [*range(1, len(messages) + 1)]
    by_place: dict[tuple[str | None, str, str], list[EventMessage]] = defaultdict(list)
    for message in messages:
        event = message.event
        by_place[event.rule_id, event.stream_id, event.type].append(message)
    for told in by_place.values():
        assert told[0].kind == "begin"
        for before, after in pairwise(told):
            is_same = before.event.id == after.event.id
            assert is_same == (before.kind != "end")
            assert (after.kind == "begin") != is_same


def check_notifications(
    messages: list[EventMessage], sent: list[Delivery], receiver: Receiver
) -> None:
    """What sinks were to be told has arrived, repeats can be told apart, nothing else came."""
    assert {delivery.state for delivery in sent} == {"done"}
    assert {(d.message.cursor, d.kind) for d in sent} == expected(messages)
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for one in receiver.received:
        bodies[one.headers["webhook-id"]].add(one.body)
    assert {*bodies} == {delivery.id for delivery in sent}
    assert all(len(same) == 1 for same in bodies.values())
    first_at: dict[str, list[int]] = defaultdict(list)
    for body in dict.fromkeys(one.body for one in receiver.received):
        told = json.loads(body)
        first_at[told["event"]["id"]].append(int(told["cursor"]))
    assert all(cursors == sorted(cursors) for cursors in first_at.values())


def expected(messages: list[EventMessage]) -> set[tuple[int, str]]:
    """Which messages go to sinks, and as what, by the rules of the API alone."""
    told = set()
    was_suppressed: dict[str, bool] = {}
    for message in messages:
        event = message.event
        was, now = was_suppressed.get(event.id, False), event.suppressed
        was_suppressed[event.id] = now
        if message.kind == "update":
            if was and not now:
                told.add((message.cursor, "begin"))
        elif not now:
            told.add((message.cursor, message.kind))
    return told
