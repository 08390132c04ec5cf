"""``/api/v1/health/ready`` and ``/v1/status``: how the service is.

The server in front answers ``/livez``, ``/readyz`` and ``/healthz`` itself.
"""

from collections import Counter
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from api.auth import READY_PATH
from api.deps import Deps, GetDeps
from api.openapi import operation
from api.replies import Json
from api.reply_schemas import DetailReply, StatusReply
from contracts.errors import RequestError

STATUS_PATH = "/v1/status"
UNREADY = {"loading": "model loading", "failed": "unhealthy", "unwritable": "unhealthy"}
CODES = {
    "loading": "model_loading",
    "failed": "model_unavailable",
    "unwritable": "storage_unavailable",
}
HEADERS = {"retry-after": "5", "x-should-retry": "true"}


def health_routes(deps: GetDeps) -> APIRouter:
    """The routes that say how the service is."""
    router = APIRouter(tags=["health"])

    ready = operation(READY_PATH, "Ready or not", DetailReply, 503)

    @router.get(READY_PATH, **ready)  # for the document; the one below is met first
    @router.api_route(READY_PATH, methods=["GET", "HEAD"], include_in_schema=False)
    async def tell_ready() -> JSONResponse:
        found = await deps().readiness.condition()
        if found == "ready":
            return JSONResponse({"detail": "healthy"})
        return JSONResponse(
            {"detail": UNREADY[found]}, 503, HEADERS | {"x-error-code": CODES[found]}
        )

    @router.get(STATUS_PATH, **operation(STATUS_PATH, "Version and model", StatusReply, 400, 401))
    async def tell_status(request: Request) -> Json:
        if request.query_params:
            raise RequestError("query: expected no parameters")
        return status_json(deps())

    return router


def status_json(deps: Deps) -> Json:
    """How the service is, for people and tools."""
    card, settings, state = deps.runner.card, deps.settings, deps.runner.state
    return {
        "version": deps.version,
        "uptime_s": round((datetime.now(UTC) - deps.started_at).total_seconds(), 3),
        "model": {
            "name": settings.served_name,
            "runner": settings.runner,
            "quantization": settings.quantization,
            "device": settings.device,
            "max_model_len": card.context_length if card else None,
            "state": state,
            "progress": 1.0 if state == "ready" else 0.0,
        },
        "streams": Counter(status.state for status in deps.streams.statuses()),
    }
