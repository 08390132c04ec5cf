"""The whole: it opens, sends and lets time have its effect by itself, and closes."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts import alerts as protocols
from contracts.errors import SinkNotAllowed, StorageUnavailable
from contracts.event_queries import EventFilter
from contracts.events import EventMessage
from contracts.notify import AppriseSink, NotifyTarget, WebhookSink
from live.alerts import Alerts
from tests.live.house import QUICK, Clock, opened, refuse_writing, running, see, stream_is
from tests.live.receiver import Receiver, receiving
from tests.live.stage import PLAIN, at


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def as_protocols(alerts: Alerts) -> tuple[object, ...]:
    """What others know of it; the type checker compares."""
    rules: protocols.Rules = alerts.rules
    events: protocols.Events = alerts.events
    feeds: protocols.Feeds = alerts.feed
    deliveries: protocols.Deliveries = alerts.outbox
    streams: protocols.WatchedStreams = alerts.watch
    return rules, events, feeds, deliveries, streams


async def test_a_look_is_delivered_by_itself(tmp_path: Path, receiver: Receiver) -> None:
    told = (NotifyTarget(WebhookSink(receiver.url("/hook"))),)
    clock = Clock()
    async with opened(tmp_path, clock, default_notify=told) as alerts:
        assert len(as_protocols(alerts)) == 5
        alerts.start()
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await see(alerts, clock, "door", QUICK, "YN")
        await asyncio.to_thread(receiver.wait_for, "/hook", 2)
        events = [one.headers["x-lookout-event"] for one in receiver.received]
        assert events == ["begin", "end"]


async def test_time_has_its_effect_by_itself(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        await alerts.watch.tick()
        reader = await alerts.feed.subscribe("sse", EventFilter())
        await anext(reader)
        clock.set(61)
        alerts.start()
        message = await anext(reader)
        assert isinstance(message, EventMessage)
        assert (message.kind, message.event.type) == ("begin", "not_evaluated")


async def test_old_events_go_by_themselves(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock, event_retention_days=1) as alerts:
        await running(alerts, "door")
        await alerts.rules.add(QUICK)
        begin, _ = await see(alerts, clock, "door", QUICK, "YN")
        picture = await alerts.events.frame(begin.event.id, "begin")
        clock.now = at(100_000)
        alerts.start()
        while picture.exists():  # noqa: ASYNC110  # nothing else tells of it
            await asyncio.sleep(0)


async def test_a_store_that_refuses_stops_nothing_for_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as alerts:
        refuse_writing(alerts._database, True)
        alerts.start()
        while "old events cannot be removed" not in caplog.text:  # noqa: ASYNC110  # likewise
            await asyncio.sleep(0)
        refuse_writing(alerts._database, False)
        await alerts.check()
        assert not any(task.done() for task in alerts._tasks)


async def test_what_cannot_be_opened_is_let_go(tmp_path: Path) -> None:
    blocked = tmp_path / "evidence"
    blocked.write_bytes(b"a file where the folder should be")
    for _ in range(2):  # the second would find the directory locked
        with pytest.raises(StorageUnavailable, match="evidence"):
            async with opened(tmp_path, Clock()):
                pass
    blocked.unlink()
    async with opened(tmp_path, Clock()) as alerts:
        await alerts.check()
    assert not [one for one in threading.enumerate() if one.name.startswith("store")]


async def test_callers_with_keys_may_write_apprise_urls(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock(), api_keys=(SecretStr("sesame"),)) as alerts:
        phone = NotifyTarget(AppriseSink("ntfy://topic"))
        await alerts.rules.add(replace(PLAIN, notify=(phone,)))
        log = NotifyTarget(AppriseSink("syslog://"))
        with pytest.raises(SinkNotAllowed, match=r"notify\[1\]: expected an Apprise URL"):
            await alerts.rules.add(replace(PLAIN, id="r-2", notify=(phone, log)))


async def test_a_camera_that_is_lost_is_told_to_the_default_sinks(
    tmp_path: Path, receiver: Receiver
) -> None:
    told = (NotifyTarget(WebhookSink(receiver.url("/hook"))),)
    async with opened(tmp_path, Clock(), default_notify=told) as alerts:
        alerts.start()
        await running(alerts, "door")
        await alerts.rules.add(replace(QUICK, notify=()))
        await stream_is(alerts, "door", "lost")
        await stream_is(alerts, "door", "running", "lost")
        await asyncio.to_thread(receiver.wait_for, "/hook", 2)
