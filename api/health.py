"""``/api/v1/health/ready``: whether the service is ready.

The server in front answers ``/livez``, ``/readyz`` and ``/healthz`` itself.
"""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from api.auth import READY_PATH
from api.deps import GetDeps
from api.openapi import operation
from api.reply_schemas import DetailReply

UNREADY = {"loading": "model loading", "failed": "unhealthy", "unwritable": "unhealthy"}
CODES = {
    "loading": "model_loading",
    "failed": "model_unavailable",
    "unwritable": "storage_unavailable",
}
HEADERS = {"retry-after": "5", "x-should-retry": "true"}


def health_routes(deps: GetDeps) -> APIRouter:
    """The route."""
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

    return router
