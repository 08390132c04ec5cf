"""``/metrics``: how everything stands, for Prometheus."""

from fastapi import APIRouter
from starlette.responses import Response

from api.auth import METRICS_PATH
from api.deps import GetAlerts, GetDeps
from api.openapi import Success, operation, text_of

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metric_routes(deps: GetDeps, alerts: GetAlerts) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["health"])
    text = Success(text_of("text/plain"))

    @router.get(METRICS_PATH, **operation(METRICS_PATH, "Metrics", text, 401, 503))
    async def show_metrics() -> Response:
        content = await alerts().metrics(deps().streams.statuses())
        return Response(content, headers={"content-type": CONTENT_TYPE})

    return router
