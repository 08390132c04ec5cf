"""What a live stream shows: one picture, pictures without end, or a clip of its last seconds."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.auth import PRIVATE_HEADERS
from api.deps import GetDeps, ServiceDeps
from api.mixed_replace import MixedReplace
from api.openapi import Success, binary_of, operation
from api.query import read_query
from api.stream_json import frame_age_s
from api.stream_schemas import ClipQuery, PreviewQuery, SnapshotQuery
from contracts.errors import RequestError, StreamNoFreshFrame
from contracts.moments import rfc3339
from contracts.previews import View
from contracts.streams import ClipSpan, StreamState, StreamStatus

SNAPSHOT = "/v1/streams/{stream_id}/snapshot.jpg"
PREVIEW = "/v1/streams/{stream_id}/preview.mjpeg"
CLIP = "/v1/streams/{stream_id}/clip.mp4"
ERRORS = (400, 401, 404, 503)
DEFAULT_CLIP_S = 10.0
OVER = (StreamState.ENDED, StreamState.FAILED)


def stream_picture_routes(deps: GetDeps) -> APIRouter:
    """The routes of pictures and clips."""
    router = APIRouter(tags=["streams"])
    writing = asyncio.Semaphore(1)  # a clip takes a core for seconds

    jpeg = Success(binary_of("image/jpeg"), headers=("x-captured-at", "x-frame-age-s"))
    showing = operation(SNAPSHOT, "The newest frame", jpeg, *ERRORS, query=SnapshotQuery)

    @router.get(SNAPSHOT, **showing)
    @router.head(SNAPSHOT, include_in_schema=False)
    async def show_snapshot(stream_id: str, request: Request) -> Response:
        query = read_query(request, SnapshotQuery)
        return await _snapshot(deps(), stream_id, View(query.max_side, query.overlay == "1"))

    mjpeg = Success(binary_of("multipart/x-mixed-replace"))
    watching = operation(PREVIEW, "Pictures without end", mjpeg, *ERRORS, query=PreviewQuery)

    @router.get(PREVIEW, **watching)
    async def watch_stream(stream_id: str, request: Request) -> Response:
        query, now = read_query(request, PreviewQuery), deps()
        now.streams.status(stream_id)  # there must be one
        view = View(query.max_side, query.overlay == "1")
        watch = partial(now.previews.watch, stream_id, view, fps=query.fps)
        return MixedReplace(watch, now.previews.seat, now.stopping)

    mp4 = Success(binary_of("video/mp4"), headers=("x-clip-from", "x-clip-to"))
    looking_back = operation(CLIP, "The last seconds", mp4, *ERRORS, query=ClipQuery)

    @router.get(CLIP, **looking_back)
    async def show_clip(stream_id: str, request: Request) -> Response:
        now = deps()
        seconds = clip_seconds(read_query(request, ClipQuery), now.settings.ring_seconds)
        status = now.streams.status(stream_id)
        async with writing:
            if await request.is_disconnected():
                raise ClientDisconnect
            clip = await asyncio.to_thread(write_clip, now, status, seconds)
        return Response(clip.mp4, media_type="video/mp4", headers=PRIVATE_HEADERS | clip.headers)

    return router


def clip_seconds(query: ClipQuery, ring_seconds: float) -> float:
    """How many seconds a clip is to have.

    Raises:
        RequestError: More than a stream keeps.
    """
    if query.seconds is None:
        return min(DEFAULT_CLIP_S, ring_seconds)
    if query.seconds > ring_seconds:
        message = f"seconds: expected <= {ring_seconds:g} (VLM_RING_SECONDS)"
        raise RequestError(message, param="seconds")
    return query.seconds


@dataclass(frozen=True, slots=True)
class WrittenClip:
    """A clip as a file, and what it shows."""

    mp4: bytes
    span: ClipSpan

    @property
    def headers(self) -> dict[str, str]:
        """When its first and last frame were captured."""
        return {"x-clip-from": rfc3339(self.span.begin), "x-clip-to": rfc3339(self.span.end)}


def write_clip(deps: ServiceDeps, status: StreamStatus, seconds: float) -> WrittenClip:
    """Write the last seconds up to the newest frame, however old that is; blocks.

    Raises:
        StreamNoFreshFrame: There is no frame.
    """
    end = status.last_frame_at
    if end is None:
        raise no_frame(status)
    with TemporaryDirectory(prefix="lookout-") as folder:
        path = Path(folder) / "clip.mp4"
        begin = end - timedelta(seconds=seconds)
        span = deps.streams.write_clip(status.config.id, path, begin=begin, end=end)
        if span is None:
            raise no_frame(status)
        return WrittenClip(path.read_bytes(), span)


async def _snapshot(deps: ServiceDeps, stream_id: str, view: View) -> Response:
    picture = await deps.previews.snapshot(stream_id, view)
    if picture is None or picture.captured_at is None:
        raise no_frame(deps.streams.status(stream_id))
    age_s = frame_age_s(deps.streams.status(stream_id), picture.captured_at)
    headers = {"x-captured-at": rfc3339(picture.captured_at), "x-frame-age-s": f"{age_s:.3f}"}
    return Response(picture.jpeg, media_type="image/jpeg", headers=PRIVATE_HEADERS | headers)


def no_frame(status: StreamStatus) -> StreamNoFreshFrame:
    """The error for a stream that has nothing to show."""
    return StreamNoFreshFrame(
        f"live stream {status.config.id} is {status.state} and has no frame",
        is_retryable=status.state not in OVER,
    )
