"""Messages as they come over WebSockets: ours, and JPS's.

What clients send is ignored. The server in front pings them every 20 s.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from fastapi import APIRouter
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.client import while_client_stays, while_serving, within
from api.deps import GetAlerts, GetDeps, ServiceDeps
from api.event_schemas import FeedQuery
from api.feed_events import PATH
from api.query import read_query
from contracts.alerts import EventReader
from contracts.errors import ShuttingDown, StorageUnavailable
from contracts.event_json import JsonObject
from contracts.event_queries import EventFilter
from contracts.events import EventMessage
from contracts.feeds import FeedItem, feed_json

JPS_PATHS = ("/api/v1/alerts/ws", "/v1/alerts/ws")
RESTART, AGAIN = 1012, 1013  # why the service closes: it stops; come again, by cursor

Form = Callable[[FeedItem], JsonObject | None]  # what is sent of an item, if anything

logger = logging.getLogger(__name__)


def feed_socket_routes(deps: GetDeps, alerts: GetAlerts) -> APIRouter:
    """The WebSockets."""
    router = APIRouter()

    @router.websocket(PATH)
    async def read_feed(websocket: WebSocket) -> None:
        query, now = read_query(websocket, FeedQuery), deps()

        def form(item: FeedItem) -> JsonObject:
            return feed_json(item, now.settings.public_url)

        reader = await alerts().feed.subscribe("ws", query.wanted(), query.after)
        await serve_reader(websocket, reader, form, now)

    for path in JPS_PATHS:

        @router.websocket(path)
        async def read_alerts(websocket: WebSocket) -> None:
            reader = await alerts().feed.subscribe("jps", EventFilter(type="alert"))
            await serve_reader(websocket, reader, jps_json, deps())

    return router


async def serve_reader(
    websocket: WebSocket, reader: EventReader, form: Form, deps: ServiceDeps
) -> None:
    """Send what a reader reads until it ends, the client leaves or the service stops."""
    try:
        await websocket.accept()
        with suppress(ClientDisconnect, WebSocketDisconnect):
            async with while_client_stays(websocket.receive):
                await websocket.close(*await _send_all(websocket, reader, form, deps))
    finally:
        reader.close()


async def _send_all(
    websocket: WebSocket, reader: EventReader, form: Form, deps: ServiceDeps
) -> tuple[int, str]:
    """Send everything; the code and the reason to close with."""
    try:
        async with while_serving(deps.stopping):
            async for text in _texts(reader, form):
                async with within(deps.patience_s):
                    await websocket.send_text(text)
    except ShuttingDown as exc:
        return RESTART, exc.message
    except StorageUnavailable:
        logger.exception("a feed cannot be read")
        return AGAIN, "events cannot be read now"
    if reader.ended_by == "shutdown":
        return RESTART, "the service is stopping"
    return AGAIN, "too far behind: come again after your last cursor"


async def _texts(reader: EventReader, form: Form) -> AsyncIterator[str]:
    async for item in reader:
        value = form(item)
        if value is not None:
            yield json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def jps_json(item: FeedItem) -> JsonObject | None:
    """What JPS says while an alert is on; nothing for what began too early to be told."""
    if not isinstance(item, EventMessage) or item.kind == "end" or item.event.suppressed:
        return None
    event = item.event
    local = event.updated_at.astimezone()  # JPS's form: local time without a zone
    return {
        "title": "VLM Alert Triggered",
        "description": f"The VLM has determined the alert rule: {event.prompt} is True!",
        "alert_id": event.alert_number or event.rule_id,
        "type": "vlm_alert",
        "rule_string": event.prompt,
        "timestamp": f"{local:%Y-%m-%d %H:%M:%S}",
        "stream_id": event.stream_id,
    }
