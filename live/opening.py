"""Live streams, their pictures, and what rules make of them, opened as one. Wiring only."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from contracts.judging import Judge
from contracts.posting import CheckedPoster
from contracts.settings import Settings
from contracts.web import WebClient
from live.alerts import AlertParts, Alerts, open_alerts
from live.previews.live_previews import LivePreviews
from live.previews.overlay_lines import OverlayLines
from live.previews.rtsp_output import http_host, listen, rtsp_output
from live.seats import Seats
from live.streams.kept_streams import KeptStreams
from live.streams.opening import open_streams
from live.streams.registry import StreamRegistry


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What comes from outside.

    Attributes:
        version: Of this program.
        web: Reaches http and https sources.
        poster: Reaches webhooks.
        judge: Answers what rules ask.
    """

    version: str
    web: WebClient
    poster: CheckedPoster
    judge: Judge


@dataclass(frozen=True, slots=True)
class Live:
    """What runs from the start of the service to its end.

    Attributes:
        keeper: Adds, changes and removes streams, and stores them.
    """

    streams: StreamRegistry
    keeper: KeptStreams
    previews: LivePreviews
    alerts: Alerts


async def open_live(settings: Settings, parts: LiveParts, closing: AsyncExitStack) -> Live:
    """Go on where the last run ended: captures, rules, deliveries.

    Raises:
        StorageUnavailable: The database or the data directory cannot be used.
        SettingsError: The port for RTSP cannot be had.
    """
    streams = open_streams(settings, parts.web)
    closing.push_async_callback(asyncio.to_thread, streams.close)
    told = AlertParts(parts.version, parts.poster, streams, parts.judge)
    alerts = await open_alerts(settings, told)
    closing.push_async_callback(alerts.close)
    lines, seats = OverlayLines(alerts.lines.of), Seats(settings.max_viewers)
    previews = LivePreviews(streams, lines, seats)
    closing.push_async_callback(asyncio.to_thread, previews.close)
    rtsp = rtsp_output(settings, streams, lines, seats)
    closing.push_async_callback(rtsp.close)
    await listen(rtsp, http_host(), settings.rtsp_port)
    keeper = KeptStreams(streams, alerts.watch)
    await keeper.resume(alerts.stored_streams)
    alerts.start()
    return Live(streams, keeper, previews, alerts)
