"""A process that watches, stores and delivers until it is killed; started by ``test_kill``.

Every statement that the store runs and every look writes a line, so that whoever kills it can
choose where. Looks are drawn by their number, so that the world goes on whoever watches it.
"""

import asyncio
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine, event

from contracts.errors import RuleExists
from contracts.notify import NotifyTarget, WebhookSink
from contracts.rules import Confirm
from contracts.settings import Settings
from live.alerts import AlertParts, Alerts, open_alerts
from live.streams.opening import open_streams
from media.addresses import AddressRules
from media.posting import GuardedPoster
from runners.scripted import ScriptedRunner
from tests.live.house import Clock, looks, running, stream_is
from tests.live.registries import NoWeb
from tests.live.stage import PLAIN

STREAMS = ("door", "yard")
EAGER = replace(PLAIN, id="r-eager", confirm=Confirm(1, 1), cooldown_s=0)
PATIENT = replace(PLAIN, id="r-patient", prompt="Is it dark?", cooldown_s=15)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


@event.listens_for(Engine, "before_cursor_execute")
def before_a_statement(*_: object) -> None:
    say("statement")


@event.listens_for(Engine, "commit")
def before_a_commit(*_: object) -> None:
    say("commit")


async def step(alerts: Alerts, clock: Clock, number: int) -> None:
    """One look of each rule on each stream; now and then a camera is lost for a moment."""
    source = random.Random(number)
    clock.set(2 * number)
    for stream_id in STREAMS:
        if source.random() < 0.1:
            await stream_is(alerts, stream_id, "lost")
            await stream_is(alerts, stream_id, "running", "lost")
        scores = [(rule, source.choice("YYN")) for rule in (EAGER, PATIENT)]
        await alerts.watch.apply(looks(stream_id, 2 * number, *scores), 0.0)
        await alerts.watch.tick()
        await alerts.outbox.turn()
    say(f"look {number}")


async def finish(alerts: Alerts, clock: Clock, number: int) -> None:
    """Clear the door, leave the yard as it is, and send all there is to send."""
    for later in range(number, number + 3):
        clock.set(2 * later)
        pairs = [(rule, "N") for rule in (EAGER, PATIENT)]
        await alerts.watch.apply(looks("door", 2 * later, *pairs), 0.0)
    while (await alerts.outbox.backlog()).depth:
        await alerts.outbox.settle()
        next_at = await alerts.outbox.turn()
        clock.now = max(clock.now, next_at or clock.now)


async def live(data_dir: Path, url: str, first: int, last: int) -> None:
    clock = Clock()
    clock.set(2 * first)
    poster = GuardedPoster(AddressRules.parse(["127.0.0.1"]))
    told = (NotifyTarget(WebhookSink(url)),)
    settings = Settings(data_dir=data_dir, default_notify=told)
    streams = open_streams(settings, NoWeb())
    parts = AlertParts("0.1.0", poster, streams, ScriptedRunner(), clock)
    alerts = await open_alerts(settings, parts)
    await running(alerts, *STREAMS)
    for rule in (EAGER, PATIENT):
        try:
            await alerts.rules.add(rule)
        except RuleExists:
            continue  # added in an earlier life
    for number in range(first, last):
        await step(alerts, clock, number)
    await finish(alerts, clock, last)
    await alerts.close()
    await poster.close()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
