"""``/api/v1/live-stream``: live streams as clients of JPS know them.

They are the same streams as those of ``/v1/streams``.
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse

from api.body import Intake
from api.deps import GetDeps, ServiceDeps
from api.openapi import Success, json_list_of, json_of, operation
from api.problems import request_error
from api.replies import Json
from api.reply_schemas import DetailReply
from api.stream_json import jps_stream_json
from api.stream_replies import JpsStream, JpsStreamAdded
from api.stream_schemas import JpsStreamBody, StreamBody
from api.stream_waits import wait_settled
from api.streams import new_config
from api.wire_schemas import ignored_header
from contracts.errors import StreamConnectFailed, StreamExists, StreamNotFound
from contracts.streams import StreamState

ALL = "/api/v1/live-stream"
ONE = "/api/v1/live-stream/{stream_id}"
CONNECT_S = 10.0  # clients wait 15
REFUSED = (StreamState.LOST, StreamState.FAILED)


def jps_stream_routes(deps: GetDeps, intake: Intake) -> APIRouter:
    """The routes that add, list and remove live streams."""
    router = APIRouter(tags=["streams"])

    adding = operation(
        ALL, "Add a live stream", JpsStreamAdded, 400, 401, 413, 415, 422, 503,
        body=json_of(JpsStreamBody),
    )  # fmt: skip

    @router.post(ALL, **adding)
    async def add_live_stream(request: Request) -> JSONResponse:
        value = (await intake.json(request)).value
        try:
            body = JpsStreamBody.model_validate(value)
        except ValidationError as exc:
            raise request_error(exc) from exc
        stream_id = await _add(body, deps())
        return JSONResponse({"id": stream_id}, headers=ignored_header(body.unknown_names()))

    listing = operation(ALL, "List the live streams", Success(json_list_of(JpsStream)), 401)

    @router.get(ALL, **listing)
    async def list_live_streams() -> list[Json]:
        return [jps_stream_json(status) for status in deps().streams.statuses()]

    @router.delete(ONE, **operation(ONE, "Remove a live stream", DetailReply, 401, 422, 503))
    async def remove_live_stream(stream_id: str) -> Mapping[str, str]:
        now = deps()
        if not now.streams.statuses():
            raise StreamNotFound("No stream connected. Nothing to remove.")
        try:
            await now.stream_keeper.remove(stream_id)
        except StreamNotFound:
            message = f"Stream ID {stream_id} does not exist. No stream removed."
            raise StreamNotFound(message) from None
        return {"detail": "Stream removed successfully"}

    return router


async def _add(body: JpsStreamBody, deps: ServiceDeps) -> str:
    """Add a stream, unless its source refuses; the id, also of one that is there already."""
    native = StreamBody(url=body.liveStreamUrl, name=body.name, description=body.description)
    config = new_config(native, deps)

    async def vet() -> None:
        status = await wait_settled(deps.streams, config.id, timeout_s=CONNECT_S)
        if status.state in REFUSED:
            raise StreamConnectFailed(f"Failed to add stream. {status.state_reason}")

    try:
        await deps.stream_keeper.add(config, vet)
    except StreamExists as exc:
        return exc.stream_id
    return config.id
