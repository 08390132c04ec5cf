"""``/api/v1/alerts`` and ``/v1/alerts``: rules as clients of JPS set them, all at once."""

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse

from api.body import Intake
from api.deps import GetAlerts, GetDeps, ServiceDeps
from api.openapi import Success, json_list_of, json_of, operation
from api.problems import request_error
from api.query import QuerySchema
from api.replies import Json
from api.reply_schemas import DetailReply
from api.rule_json import jps_alert_json
from api.rule_replies import JpsAlert
from api.rule_schemas import JpsAlertsBody
from api.wire_schemas import ignored_header
from contracts.errors import StreamNotFound

PATHS = ("/api/v1/alerts", "/v1/alerts")
WRITING = (401, 409, 413, 415, 422, 503)


class StreamQuery(QuerySchema):
    """Whose rules are cleared."""

    id: str = Field(default="", description="A stream; empty: all of the façade's rules")


def jps_alert_routes(deps: GetDeps, alerts: GetAlerts, intake: Intake) -> APIRouter:
    """The routes that set, list and clear the façade's rules, under both of their paths."""
    router = APIRouter(tags=["rules"])
    for path in PATHS:
        _add_routes(router, path, deps, alerts, intake)
    return router


def _add_routes(
    router: APIRouter, path: str, deps: GetDeps, alerts: GetAlerts, intake: Intake
) -> None:
    setting = operation(path, "Set rules", DetailReply, *WRITING, body=json_of(JpsAlertsBody))

    @router.post(path, **setting)
    async def set_alerts(request: Request) -> JSONResponse:
        """Replaces the rules that were set here before; `/v1/rules` has more to choose.

        The WebSocket of this path with `/ws` behind it tells of each one that is true.
        """
        value = (await intake.json(request)).value
        try:
            body = JpsAlertsBody.model_validate(value)
        except ValidationError as exc:
            raise request_error(exc) from exc
        await alerts().rules.replace_jps(body.alerts, which_stream(body.id, deps()))
        headers = ignored_header(body.unknown_names())
        return JSONResponse({"detail": "Alert rules set"}, headers=headers)

    @router.get(path, **operation(path, "List the rules", Success(json_list_of(JpsAlert)), 401))
    async def list_alerts() -> list[Json]:
        rules = alerts().rules
        return [
            jps_alert_json(rule, rules.statuses(rule))
            for rule in rules.all()
            if rule.source == "jps"
        ]

    clearing = operation(path, "Clear rules", DetailReply, 401, 422, 503, query=StreamQuery)

    @router.delete(path, **clearing)
    async def clear_alerts(request: Request) -> Json:
        stream_id = which_stream(request.query_params.get("id"), deps())
        await alerts().rules.replace_jps([], stream_id)
        return {"detail": "Alert rules cleared"}


def which_stream(asked: str | None, deps: ServiceDeps) -> str | None:
    """The stream that a client of JPS means; ``None`` is every stream.

    Raises:
        StreamNotFound: There is none of this id, and more than one that could be meant.
    """
    ids = [status.config.id for status in deps.streams.statuses()]
    if not asked or not ids:
        return None
    if asked in ids:
        return asked
    if len(ids) == 1:
        return ids[0]
    raise StreamNotFound("id: expected the id of a live stream, or none for all", param="id")
