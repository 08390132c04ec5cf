"""``GET /v1/events/feed`` as server-sent events: messages as they come, resumed by cursor."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress

from fastapi import APIRouter, Request
from pydantic_core import PydanticCustomError

from api.auth import PRIVATE_HEADERS
from api.client import while_serving
from api.deps import GetAlerts, GetDeps, ServiceDeps
from api.dialects import openai_body
from api.event_schemas import FeedQuery, parse_cursor
from api.openapi import Success, operation, text_of
from api.query import read_query
from api.sse import EventStream
from contracts.alerts import EventReader
from contracts.errors import RequestError, ShuttingDown, StorageUnavailable
from contracts.feeds import FeedGap, FeedItem, feed_json

PATH = "/v1/events/feed"
KEEP_ALIVE_S = 15.0
RETRY = b"retry: 3000\n\n"
LAST_ID = "last-event-id"

logger = logging.getLogger(__name__)


def feed_routes(deps: GetDeps, alerts: GetAlerts) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["events"])
    told = Success(text_of("text/event-stream"))
    reading = operation(PATH, "Messages as they come", told, 400, 401, 503, query=FeedQuery)

    @router.get(PATH, **reading)
    async def read_feed(request: Request) -> EventStream:
        """Server-sent events, or a WebSocket of the same path that sends the same JSON.

        The first message is `hello`, with the cursor that the feed starts from; then come `begin`,
        `update` and `end` of events, at least once and in the order of their cursors, and `gap`
        for what is not kept any more. `Last-Event-ID`, or `after`, resumes after a cursor.
        """
        now, query = deps(), read_query(request, FeedQuery)
        after = last_event_id(request.headers.get(LAST_ID), query.after)
        if now.stopping.is_set():
            raise ShuttingDown("the service is stopping; try again later")
        reader = await alerts().feed.subscribe("sse", query.wanted(), after)

        async def close() -> None:
            reader.close()

        events = feed_events(reader, now)
        return EventStream(
            events,
            close=close,
            keep_alive_s=KEEP_ALIVE_S,
            headers=PRIVATE_HEADERS,
            patience_s=now.patience_s,
        )

    return router


def last_event_id(header: str | None, after: int | None) -> int | None:
    """Where a feed starts: a client that comes again says it in the header, which wins.

    Raises:
        RequestError: The header holds no cursor.
    """
    if not header:
        return after
    try:
        return parse_cursor(header)
    except PydanticCustomError as exc:
        raise RequestError(f"Last-Event-ID: {exc.message()}", param="Last-Event-ID") from exc


async def feed_events(reader: EventReader, deps: ServiceDeps) -> AsyncGenerator[bytes, None]:
    """Events until the reader ends or the service stops; clients then come again by themselves."""
    yield RETRY
    try:
        while (item := await _next(reader, deps)) is not None:
            yield feed_event(item, deps.settings.public_url)
    except StorageUnavailable as exc:
        logger.exception("a feed cannot be read")
        yield _event({"event": "error"}, openai_body(exc))


async def _next(reader: EventReader, deps: ServiceDeps) -> FeedItem | None:
    with suppress(ShuttingDown, StopAsyncIteration):
        async with while_serving(deps.stopping):
            return await reader.__anext__()
    return None


def feed_event(item: FeedItem, public_url: str) -> bytes:
    """An item as an event; its id is what the client has then read."""
    value = feed_json(item, public_url)
    cursor = item.last if isinstance(item, FeedGap) else item.cursor
    return _event({"id": str(cursor), "event": str(value["kind"])}, value)


def _event(fields: dict[str, str], value: object) -> bytes:
    lines = "".join(f"{name}: {text}\n" for name, text in fields.items())
    data = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"{lines}data: {data}\n\n".encode()
