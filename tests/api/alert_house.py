"""The HTTP surface over real rules, events, feeds and deliveries, in one event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from api.app import build_app
from api.deps import ServiceDeps
from api.readiness import Readiness
from contracts.events import EventMessage
from contracts.generation import ModelRunner
from contracts.judging import Judge
from contracts.media import MediaReader
from contracts.rules import Rule
from contracts.streams import LiveStreams
from live.alerts import Alerts
from tests.api.fakes import deps_of
from tests.live.house import Clock, opened, running, see


@dataclass(frozen=True)
class AlertHouse:
    """An app, a client of it, and what is behind it."""

    alerts: Alerts
    clock: Clock
    deps: ServiceDeps
    app: FastAPI
    client: httpx.AsyncClient

    async def see(self, rule: Rule, script: str, start_s: float = 0) -> list[EventMessage]:
        """Looks at the door, one each two seconds."""
        return await see(self.alerts, self.clock, "door", rule, script, start_s)


@asynccontextmanager
async def alert_house(
    data_dir: Path,
    streams: LiveStreams | None = None,
    judge: Judge | None = None,
    *,
    runner: ModelRunner | None = None,
    media: MediaReader | None = None,
    **settings: Any,  # noqa: ANN401  # of Settings
) -> AsyncIterator[AlertHouse]:
    """A house in which rules know the streams ``door`` and ``yard``."""
    clock = Clock()
    async with opened(data_dir, clock, streams=streams, judge=judge, **settings) as alerts:
        await running(alerts, "door", "yard")
        deps = deps_of(runner, media, streams, **settings)
        deps = replace(deps, readiness=Readiness(deps.runner, alerts.check))
        app = build_app(lambda: deps, alerts=lambda: alerts)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield AlertHouse(alerts, clock, deps, app, client)
