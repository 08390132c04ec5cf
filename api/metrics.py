"""``/metrics``: how everything stands, for Prometheus.

BentoML's own page is off: all of its series but one carry the raw path of the request, which
strangers choose, and it can ask for no key.
"""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from api.auth import METRICS_PATH
from api.deps import GetAlerts, GetDeps
from api.openapi import Success, operation, text_of
from api.prometheus.page import CONTENT_TYPE, Snapshot, render
from api.request_meter import RequestTally
from api.served_model import served_model


@dataclass(frozen=True, slots=True)
class MetricSources:
    """Where numbers come from; without ``alerts``, none of theirs are shown."""

    deps: GetDeps
    alerts: GetAlerts | None
    tally: RequestTally

    async def snapshot(self) -> Snapshot:
        """All of them now."""
        deps = self.deps()
        return Snapshot(
            model=served_model(deps),
            requests=self.tally.stats(),
            engine=deps.runner.stats(),
            media=deps.media.stats(),
            streams=deps.streams.statuses(),
            num_previews=deps.previews.num_viewers,
            alerts=None if self.alerts is None else await self.alerts().stats(),
        )


def metric_routes(sources: MetricSources) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["health"])
    text = Success(text_of("text/plain"))

    @router.get(METRICS_PATH, **operation(METRICS_PATH, "Metrics", text, 401))
    async def show_metrics() -> Response:
        """For Prometheus, in its text format."""
        content = render(await sources.snapshot())
        return Response(content, headers={"content-type": CONTENT_TYPE})

    return router
