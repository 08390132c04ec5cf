"""``/v1/streams``: live streams as people configure them, and how they stand.

Their pictures are ``api.stream_pictures``' business. Works while the model loads.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse

from api.body import Intake
from api.deps import GetDeps, ServiceDeps
from api.openapi import Success, json_of, operation
from api.problems import request_error
from api.query import NoQuery, read_query
from api.replies import Json
from api.stream_json import stream_json
from api.stream_replies import StreamDeleted, StreamList, StreamReply
from api.stream_schemas import AddQuery, StreamBody, StreamPatch
from api.stream_waits import wait_first_frame
from api.wire_schemas import WireSchema
from contracts.streams import StreamConfig, StreamStatus

ALL = "/v1/streams"
ONE = "/v1/streams/{stream_id}"
READING = (400, 401)
WRITING = (400, 401, 409, 413, 415, 503)

B = TypeVar("B", bound=WireSchema)


def stream_routes(deps: GetDeps, intake: Intake) -> APIRouter:
    """The routes that add, show, change and remove live streams."""
    router = APIRouter(tags=["streams"])

    added = Success(json_of(StreamReply), 201, ("location",))
    adding = operation(
        ALL, "Add a live stream", added, *WRITING, body=json_of(StreamBody), query=AddQuery
    )

    @router.post(ALL, status_code=201, **adding)
    async def add_stream(request: Request) -> JSONResponse:
        now = deps()
        query = read_query(request, AddQuery)
        body = _read(StreamBody, (await intake.json(request)).value)
        status = await now.stream_keeper.add(new_config(body, now))
        if query.wait_s:
            status = await wait_first_frame(now.streams, status.config.id, timeout_s=query.wait_s)
        headers = {"location": f"{ALL}/{status.config.id}"}
        return JSONResponse(_json(now, status), 201, headers)

    @router.get(ALL, **operation(ALL, "List the live streams", StreamList, *READING))
    async def list_streams(request: Request) -> Json:
        read_query(request, NoQuery)
        now = deps()
        return {
            "object": "list",
            "data": [_json(now, status) for status in now.streams.statuses()],
        }

    @router.get(ONE, **operation(ONE, "Describe a live stream", StreamReply, *READING, 404))
    async def retrieve_stream(stream_id: str, request: Request) -> Json:
        read_query(request, NoQuery)
        now = deps()
        return _json(now, now.streams.status(stream_id))

    changing = operation(
        ONE, "Change a live stream", StreamReply, *WRITING, 404, body=json_of(StreamPatch)
    )

    @router.patch(ONE, **changing)
    async def change_stream(stream_id: str, request: Request) -> Json:
        now = deps()
        now.streams.status(stream_id)  # there must be one, whatever the body says
        patch = _read(StreamPatch, (await intake.json(request)).value)
        status = await now.stream_keeper.change(stream_id, patched(patch))
        return _json(now, status)

    @router.delete(ONE, **operation(ONE, "Remove a live stream", StreamDeleted, 401, 404, 503))
    async def delete_stream(stream_id: str) -> Json:
        await deps().stream_keeper.remove(stream_id)
        return {"id": stream_id, "object": "stream", "deleted": True}

    return router


def new_config(body: StreamBody, deps: ServiceDeps) -> StreamConfig:
    """What a body configures, with what it does not say."""
    stream_id = body.id or str(uuid.uuid4())
    return StreamConfig(
        id=stream_id,
        url=body.url,
        created_at=datetime.now(UTC),
        name=body.name or stream_id,
        description=body.description or "",
        username=body.username,
        password=body.password,
        enabled=body.enabled is not False,
        loop=bool(body.loop),
        sample_fps=body.sample_fps or deps.settings.stream_fps,
    )


def patched(patch: StreamPatch) -> Callable[[StreamConfig], StreamConfig]:
    """What a patch makes of a configuration.

    A password is sent to whoever it was meant for: with another host in the URL, those that were
    stored beside the old one are dropped.
    """
    given = {name: value for name, value in patch if value is not None}

    def change(config: StreamConfig) -> StreamConfig:
        changed = replace(config, **given)
        if _host(changed.url) != _host(config.url):
            changed = replace(changed, username=patch.username, password=patch.password)
        return replace(changed, name=changed.name or config.id)

    return change


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return url  # no URL at all; whoever is to open it says so


def _read(schema: type[B], value: object) -> B:
    try:
        return schema.model_validate(value)
    except ValidationError as exc:
        raise request_error(exc) from exc


def _json(deps: ServiceDeps, status: StreamStatus) -> Json:
    return stream_json(status, deps.num_rules(status.config.id))
