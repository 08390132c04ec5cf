"""Rules, events and deliveries opened as a whole, with a clock that stands still."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from contracts.events import EventMessage
from contracts.judging import Judge, Judgement
from contracts.media import U8
from contracts.rules import Confirm, Rule
from contracts.settings import Settings
from contracts.streams import LiveStreams, StreamChange, StreamConfig, StreamState
from live.alerting.looks import LookBatch
from live.alerts import AlertParts, Alerts, open_alerts
from live.store.database import Database
from media.addresses import AddressRules
from media.posting import GuardedPoster
from runners.scripted import ScriptedRunner
from tests.live.registries import registry
from tests.live.stage import NOON, PLAIN, SCORES, at

RGB: U8 = np.full((48, 64, 3), 200, np.uint8)
QUICK = replace(PLAIN, confirm=Confirm(1, 1), cooldown_s=0)


class Clock:
    """A moment that moves when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def set(self, seconds: float) -> None:
        self.now = NOON + timedelta(seconds=seconds)


def settings(data_dir: Path, **fields: Any) -> Settings:  # noqa: ANN401  # of Settings
    return Settings(data_dir=data_dir, **fields)


@asynccontextmanager
async def opened(
    data_dir: Path,
    clock: Callable[[], datetime],
    *,
    streams: LiveStreams | None = None,
    judge: Judge | None = None,
    **fields: Any,  # noqa: ANN401  # of Settings
) -> AsyncIterator[Alerts]:
    """Alerts over these streams, or over none."""
    with contextlib.ExitStack() as closing:
        if streams is None:
            streams, _ = closing.enter_context(registry())
        poster = GuardedPoster(AddressRules.parse(["127.0.0.1"]))
        asked = judge or ScriptedRunner()
        parts = AlertParts("0.1.0", poster, streams, asked, clock, random.Random(1))
        alerts = await open_alerts(settings(data_dir, **fields), parts)
        try:
            yield alerts
        finally:
            await alerts.close()
            await poster.close()


def refuse_writing(database: Database, refuse: bool) -> None:
    """Make a SQLite store refuse what changes it, or take it again."""
    connection = database._writing.raw_connection()  # the one that all transactions use
    connection.cursor().execute(f"PRAGMA query_only={int(refuse)}").close()
    connection.close()


async def stream_is(
    alerts: Alerts, stream_id: str, state: str, before: str | None = "running"
) -> None:
    was = None if before is None else StreamState(before)
    now = alerts.rules._decider.now()
    change = StreamChange(stream_id, f"The {stream_id}", was, StreamState(state), now)
    await alerts.watch.stream_changed(change)


def stream_of(stream_id: str, name: str | None = None) -> StreamConfig:
    url = f"rtsp://10.0.0.7/{stream_id}"
    return StreamConfig(stream_id, url, NOON, name or f"The {stream_id}")


async def running(alerts: Alerts, *stream_ids: str) -> None:
    """Streams that are there and have frames."""
    for stream_id in stream_ids:
        await alerts.watch.put_stream(stream_of(stream_id))
        await stream_is(alerts, stream_id, "connecting", None)
        await stream_is(alerts, stream_id, "running", "connecting")


def looks(
    stream_id: str, time_s: float, *pairs: tuple[Rule, str | float], rgb: U8 | None = RGB
) -> LookBatch:
    """What the model said of rules, at a frame of this second."""
    said = tuple(
        Judgement(SCORES[score] if isinstance(score, str) else score, score != "?")
        for _, score in pairs
    )
    rules = tuple(rule for rule, _ in pairs)
    return LookBatch(stream_id, rules, said, (at(time_s - 1), at(time_s)), rgb, model="model")


async def see(
    alerts: Alerts, clock: Clock, stream_id: str, rule: Rule, script: str, start_s: float = 0
) -> list[EventMessage]:
    """One look of a rule each two seconds."""
    messages: list[EventMessage] = []
    for index, letter in enumerate(script, 1):
        clock.set(start_s + 2 * index)
        batch = looks(stream_id, start_s + 2 * index, (rule, letter))
        messages += await alerts.watch.apply(batch, 0.0)
    return messages
