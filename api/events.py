"""``/v1/events``: what happened, and the pictures and clips that show it."""

import asyncio
from pathlib import Path

from fastapi import APIRouter, Request

from api.auth import PRIVATE_HEADERS
from api.deps import GetAlerts, GetDeps
from api.event_replies import EventList, EventReply
from api.event_schemas import EventsQuery, FrameQuery
from api.file_replies import FileReply
from api.openapi import Success, binary_of, operation
from api.query import NoQuery, read_query
from api.replies import Json
from contracts.errors import EvidenceGone
from contracts.event_json import event_json

ALL = "/v1/events"
ONE = "/v1/events/{event_id}"
FRAME = f"{ONE}/frame.jpg"
CLIP = f"{ONE}/clip.mp4"
EVIDENCE = (400, 401, 404, 410, 416, 503)
WHOLE_OR_RANGE = ("etag", "accept-ranges")


def event_routes(deps: GetDeps, alerts: GetAlerts) -> APIRouter:
    """The routes of events and their evidence."""
    router = APIRouter(tags=["events"])

    listing = operation(ALL, "List events", EventList, 400, 401, 503, query=EventsQuery)

    @router.get(ALL, **listing)
    async def list_events(request: Request) -> Json:
        """By when they began, or, after a cursor, by their latest message."""
        page = await alerts().events.page(read_query(request, EventsQuery).query())
        url = deps().settings.public_url
        return {
            "object": "list",
            "data": [event_json(event, url) for event in page.events],
            "has_more": page.next is not None,
            "next": page.next,
            "latest": str(page.latest),
        }

    @router.get(ONE, **operation(ONE, "Describe an event", EventReply, 400, 401, 404, 503))
    async def retrieve_event(event_id: str, request: Request) -> Json:
        read_query(request, NoQuery)
        event = await alerts().events.get(event_id)
        return event_json(event, deps().settings.public_url)

    jpeg = Success(binary_of("image/jpeg"), headers=WHOLE_OR_RANGE)

    @router.get(FRAME, **operation(FRAME, "Its picture", jpeg, *EVIDENCE, query=FrameQuery))
    @router.head(FRAME, include_in_schema=False)
    async def show_frame(event_id: str, request: Request) -> FileReply:
        """The newest frame of the look that began it, or of the one with the highest score."""
        query = read_query(request, FrameQuery)
        return await _file(await alerts().events.frame(event_id, query.which), "image/jpeg")

    mp4 = Success(binary_of("video/mp4"), headers=WHOLE_OR_RANGE)

    @router.get(CLIP, **operation(CLIP, "Its clip, whole or a range", mp4, *EVIDENCE))
    @router.head(CLIP, include_in_schema=False)
    async def show_clip(event_id: str, request: Request) -> FileReply:
        """From before it began to after; 404 with `retry-after` until it is written."""
        read_query(request, NoQuery)
        return await _file(await alerts().events.clip(event_id), "video/mp4")

    return router


async def _file(path: Path, media_type: str) -> FileReply:
    try:
        stat = await asyncio.to_thread(path.stat)
    except FileNotFoundError:  # the budget took it since it was looked up
        raise EvidenceGone("removed just now, to keep within VLM_EVIDENCE_MAX_MB") from None
    return FileReply(path, media_type=media_type, headers=PRIVATE_HEADERS, stat_result=stat)
