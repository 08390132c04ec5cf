"""Every message reaches its sink at least once, in its event's order, or is known to be dead."""

import asyncio
import itertools
import json
import logging
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.errors import NotFound
from contracts.event_queries import DeliveryQuery
from contracts.events import Delivery, Event
from contracts.notify import AppriseSink, MessageKind, NamedSink, NotifyTarget, Sink, WebhookSink
from live.alerting.evidence import Budget, EvidenceStore
from live.alerting.outbox import Outbox, OutboxParts
from live.sinks.apprise import AppriseSender
from live.sinks.book import SinkBook
from live.sinks.courier import Courier
from live.sinks.webhook import WebhookSender
from live.store.database import open_database
from media.addresses import AddressRules
from media.posting import GuardedPoster
from tests.live.house import Clock, refuse_writing
from tests.live.receiver import Receiver, receiving
from tests.live.stage import at, seconds
from tests.live.store.records import an_event, over
from tests.live.store.test_deliveries import post


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


class Office:
    """An outbox on a store, with a clock that is turned by hand."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.clock = Clock()
        self.database = open_database("", folder)
        self.poster = GuardedPoster(AddressRules.parse(["127.0.0.1"]))
        self.receiver = receiver
        webhook = WebhookSender(self.poster, "", "0.1.0", self.clock)
        apprise = AppriseSender(EvidenceStore(folder / "evidence", Budget(0, 0)), "")
        named = {"ops": NotifyTarget(WebhookSink(receiver.url("/ops")))}
        self.courier = Courier(SinkBook(named), webhook, apprise)
        parts = OutboxParts(self.database, self.courier, self.clock, random.Random(0))
        self.outbox = Outbox(parts)

    async def post(self, event: Event, *paths: str, kind: MessageKind = "begin") -> None:
        sinks = [WebhookSink(self.receiver.url(path)) for path in paths]
        await post(self.database, event, seconds(self.clock.now), *sinks, kind=kind)

    async def turn(self, at_s: float | None = None) -> float | None:
        """Send what is due; when something will be, in seconds."""
        if at_s is not None:
            self.clock.set(at_s)
        await self.outbox.turn()
        await self.outbox.settle()
        next_at = await self.outbox.turn()
        await self.outbox.settle()
        return None if next_at is None else seconds(next_at)

    async def find(self, **fields: object) -> list[Delivery]:
        return await self.outbox.find(DeliveryQuery(**fields))  # type: ignore[arg-type]

    async def close(self) -> None:
        await self.outbox.close()
        self.courier.close()
        await self.poster.close()
        await self.database.close()


@pytest.fixture
async def office(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Office]:
    opened = Office(tmp_path, receiver)
    yield opened
    await opened.close()


def kinds(receiver: Receiver, path: str = "/a") -> list[str]:
    return [one.headers["x-lookout-event"] for one in receiver.at(path)]


async def test_what_was_taken_is_done_and_not_sent_again(
    office: Office, receiver: Receiver
) -> None:
    await office.post(an_event(0), "/a", "/b")
    assert await office.turn() is None
    assert await office.turn(100) is None
    assert len(receiver.at("/a")) == len(receiver.at("/b")) == 1
    assert {delivery.state for delivery in await office.find()} == {"done"}
    assert office.outbox.attempts == {("webhook", "ok"): 2}
    assert (await office.outbox.backlog()).depth == 0


async def test_attempts_follow_the_schedule_and_end_after_a_day(
    office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.refuse("/a", *[500] * 100)
    await office.post(an_event(0), "/a")
    times, next_s = [], 0.0
    while next_s is not None:
        times.append(next_s)
        next_s = await office.turn(next_s)  # type: ignore[assignment]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    planned = [1, 5, 30, 120, 600, *[3600] * (len(gaps) - 5)]
    assert all(0.8 * plan <= gap <= 1.2 * plan for gap, plan in zip(gaps, planned, strict=True))
    assert len({round(gap / plan, 3) for gap, plan in zip(gaps, planned, strict=True)}) > 3
    assert 86400 - 1.2 * 3600 < times[-1] <= 86400
    assert len(receiver.at("/a")) == len(times)
    [dead] = await office.find(state="dead")
    assert (dead.num_attempts, dead.last_error) == (
        len(times), "expected a status of 200 to 299, the host answered 500",
    )  # fmt: skip
    assert f"given up after {len(times)} attempts" in caplog.text
    assert receiver.url("/a") not in caplog.text
    assert office.outbox.attempts["webhook", "dead"] == 1
    numbers = [one.headers["x-lookout-attempt"] for one in receiver.at("/a")]
    assert numbers == [str(number) for number in range(1, len(times) + 1)]


async def test_every_attempt_has_the_same_id_and_body(office: Office, receiver: Receiver) -> None:
    receiver.refuse("/a", 500, 500)
    await office.post(an_event(0), "/a")
    for at_s in (0, 2, 10):
        await office.turn(at_s)
    assert len(receiver.received) == 3
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    stamps = [int(one.headers["webhook-timestamp"]) for one in receiver.received]
    assert stamps == [int(at(second).timestamp()) for second in (0, 2, 10)]


async def test_410_gives_up_at_once(office: Office, receiver: Receiver) -> None:
    receiver.refuse("/a", 410)
    await office.post(an_event(0), "/a")
    assert await office.turn() is None
    [dead] = await office.find(state="dead")
    assert dead.num_attempts == 1


async def test_messages_of_one_event_keep_their_order_and_others_pass(
    office: Office, receiver: Receiver
) -> None:
    stuck, other = an_event(0), an_event(1)
    receiver.refuse("/a", 500)
    await office.post(stuck, "/a")
    await office.turn()
    await office.post(over(stuck, 0.5), "/a", kind="end")
    await office.post(other, "/a")
    await office.turn(0.5)
    assert kinds(receiver) == ["begin", "begin"]
    assert json.loads(receiver.received[-1].body)["event"]["id"] == other.id
    await office.turn(2)
    assert kinds(receiver)[2:] == ["begin", "end"]


async def test_sinks_do_not_wait_for_each_other(office: Office, receiver: Receiver) -> None:
    receiver.held.add("/slow")
    await office.post(an_event(0), "/slow", "/quick")
    await office.outbox.turn()
    await asyncio.to_thread(receiver.wait_for, "/quick", 1)
    await asyncio.to_thread(receiver.wait_for, "/slow", 1)
    await office.post(an_event(1), "/slow", "/quick")
    while len(receiver.at("/quick")) < 2:
        await office.outbox.turn()
        await asyncio.sleep(0)
    assert len(receiver.at("/slow")) == 1  # its first is not answered yet
    receiver.let_go.set()
    await office.outbox.settle()
    await office.turn()
    assert len(receiver.at("/slow")) == 2


async def test_what_was_not_sent_is_sent_after_a_restart_at_its_time(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.refuse("/a", 500, 500)
    office = Office(tmp_path, receiver)
    await office.post(an_event(0), "/a")
    await office.turn()
    next_s = await office.turn(2)
    await office.close()
    assert next_s is not None
    office = Office(tmp_path, receiver)
    assert await office.turn(3) == next_s
    assert len(receiver.received) == 2
    await office.turn(next_s)
    assert [one.headers["x-lookout-attempt"] for one in receiver.received] == ["1", "2", "3"]
    await office.close()


async def test_after_a_long_stop_there_is_one_more_attempt(
    office: Office, receiver: Receiver
) -> None:
    receiver.refuse("/a", 500, 500)
    await office.post(an_event(0), "/a")
    await office.turn()
    assert await office.turn(3 * 86400) is None
    [dead] = await office.find(state="dead")
    assert dead.num_attempts == 2


async def test_a_dead_letter_is_read_and_sent_again(office: Office, receiver: Receiver) -> None:
    receiver.refuse("/a", 410)
    event = an_event(0)
    await office.post(event, "/a")
    await office.turn()
    [dead] = await office.find(event_id=event.id)
    revived = await office.outbox.retry(dead.id)
    assert (revived.state, revived.give_up_at) == ("pending", at(0) + timedelta(days=1))
    await office.turn()
    [done] = await office.find(state="done")
    assert [one.headers["webhook-id"] for one in receiver.received] == [done.id, done.id]
    with pytest.raises(NotFound):
        await office.outbox.retry("none")


async def test_a_name_that_is_gone_waits_for_its_return(office: Office, receiver: Receiver) -> None:
    await post(office.database, an_event(0), 0, NamedSink("ops"), NamedSink("gone"))
    assert await office.turn() is not None
    assert len(receiver.at("/ops")) == 1
    [waiting] = await office.find(state="pending")
    assert waiting.last_error == "VLM_SINKS has no sink gone any more"


async def test_people_are_told_like_machines(office: Office, receiver: Receiver) -> None:
    sink: Sink = AppriseSink(f"json://127.0.0.1:{receiver.port}/people")
    receiver.refuse("/people", 500)
    await post(office.database, an_event(0, prompt="Is it dark?"), 0, sink)
    await office.turn()
    await office.turn(2)
    assert len(receiver.at("/people")) == 2
    assert office.outbox.attempts == {("apprise", "retry"): 1, ("apprise", "ok"): 1}


async def test_it_runs_until_it_is_cancelled_and_wakes_for_what_is_new(
    office: Office, receiver: Receiver
) -> None:
    running = asyncio.create_task(office.outbox.run())
    for count in (1, 2):
        await office.post(an_event(0), "/a")
        office.outbox.wake()
        await asyncio.to_thread(receiver.wait_for, "/a", count)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await office.outbox.settle()
    assert {delivery.state for delivery in await office.find()} == {"done"}


async def test_it_tries_again_by_itself_when_the_time_has_come(
    office: Office, receiver: Receiver
) -> None:
    receiver.refuse("/a", 500)
    await office.post(an_event(0), "/a")
    moments = (at(0.4 * call) for call in itertools.count())
    office.outbox._clock = lambda: next(moments)  # time passes with every look at it
    running = asyncio.create_task(office.outbox.run())
    await asyncio.to_thread(receiver.wait_for, "/a", 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await office.outbox.settle()


async def test_an_outbox_that_cannot_be_read_is_read_later(
    office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    rename = "ALTER TABLE {} RENAME TO {}"
    away, back = rename.format("deliveries", "gone"), rename.format("gone", "deliveries")
    await office.post(an_event(0), "/a")
    await office.database.write(lambda c: c.exec_driver_sql(away))
    running = asyncio.create_task(office.outbox.run())
    while "the outbox cannot be read" not in caplog.text:  # noqa: ASYNC110  # nothing else tells
        await asyncio.sleep(0)
    await office.database.write(lambda c: c.exec_driver_sql(back))
    office.outbox.wake()
    await asyncio.to_thread(receiver.wait_for, "/a", 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await office.outbox.settle()


async def test_closing_breaks_off_and_the_next_start_sends_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    office = Office(tmp_path, receiver)
    receiver.held.add("/a")
    await office.post(an_event(0), "/a")
    await office.outbox.turn()
    await asyncio.to_thread(receiver.wait_for, "/a", 1)
    await office.close()
    receiver.let_go.set()
    office = Office(tmp_path, receiver)
    await office.turn()
    ids = [one.headers["webhook-id"] for one in receiver.at("/a")]
    assert len(ids) == 2
    assert len({*ids}) == 1
    await office.close()


async def test_when_outcomes_cannot_be_noted_it_pauses(
    office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it would send the same message over and over."""
    await office.post(an_event(0), "/a")
    refuse_writing(office.database, True)
    with caplog.at_level(logging.CRITICAL):
        assert await office.turn() == 5
    assert await office.turn(4.9) == 5
    assert len(receiver.at("/a")) == 1
    refuse_writing(office.database, False)
    assert await office.turn(5) is None
    assert len(receiver.at("/a")) == 2


async def test_a_lane_that_fails_pauses_and_says_so(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it would begin anew at once, for ever, and nobody would know."""
    await office.post(an_event(0), "/a")
    office.outbox._courier = None  # type: ignore[assignment]
    assert await office.turn() == 5
    assert "deliveries of a sink failed" in caplog.text


async def test_a_fault_of_ours_is_an_attempt_that_failed(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    await post(office.database, an_event(0), 0, WebhookSink("http://127.0.0.1/", "key"))
    broken = Courier(office.courier.book, None, office.courier.apprise)  # type: ignore[arg-type]
    office.outbox._courier = broken
    await office.turn()
    [waiting] = await office.find(state="pending")
    assert waiting.last_error == "a fault of ours (server_error)"
    assert "server_error" in caplog.text
    broken.close()
