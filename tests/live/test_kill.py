"""A kill at any moment loses no event and no notification."""

import json
import random
import signal
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.event_queries import DeliveryQuery
from contracts.events import Delivery, EventMessage
from live.store import deliveries, events
from live.store.database import open_database
from tests.live.receiver import Receiver, receiving

ENDLESS = 1_000_000
MOST_LINES = 250  # of one life; about three looks
ROOT = Path(__file__).resolve().parents[2]


def start(data_dir: Path, url: str, first: int, last: int) -> "subprocess.Popen[bytes]":
    arguments = [str(data_dir), url, str(first), str(last)]
    command = [sys.executable, "-m", "tests.live.doomed", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def live_and_die(data_dir: Path, url: str, first: int, num_lines: int) -> int:
    """Kill a process when it has said so many lines; the number of the next look."""
    process = start(data_dir, url, first, ENDLESS)
    assert process.stdout is not None
    with process.stdout as said:
        for line in (said.readline() for _ in range(num_lines)):
            if line.startswith(b"look "):
                first = int(line.split()[1]) + 1
        process.send_signal(signal.SIGKILL)
        rest = said.read()  # what it said between our reading and its end
    assert process.wait() == -signal.SIGKILL
    return max([first, *(int(line.split()[1]) + 1 for line in rest.split(b"\n") if b"k " in line)])


def survive(data_dir: Path, url: str, num_kills: int, source: random.Random) -> None:
    first = 0
    for _ in range(num_kills):
        first = live_and_die(data_dir, url, first, source.randint(1, MOST_LINES))
    process = start(data_dir, url, first, first + 10)
    process.communicate()
    assert process.returncode == 0


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


@pytest.mark.parametrize(
    "num_kills", [3, pytest.param(20, marks=pytest.mark.slow)], ids=lambda n: f"{n}_kills"
)
async def test_whatever_is_killed_every_event_goes_on_and_every_notification_arrives(
    tmp_path: Path, num_kills: int
) -> None:
    source = random.Random(num_kills)
    with receiving() as receiver:
        receiver.refuse("/hook", *(500 if source.random() < 0.2 else 200 for _ in range(500)))
        survive(tmp_path, receiver.url("/hook"), num_kills, source)
        messages, sent = await stored(tmp_path)
        check_messages(messages)
        check_notifications(messages, sent, receiver)
    assert any(message.event.suppressed for message in messages)
    assert {message.event.type for message in messages} >= {"alert", "stream_lost"}
