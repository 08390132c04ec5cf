"""The HTTP surface as one app; two can live in one process."""

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.routing import Match

from api.alert_routes import add_alert_routes
from api.analyze import analyze_routes
from api.auth import KeyCheck
from api.body import IDLE_S, Intake
from api.chat import chat_routes
from api.cors import METHODS, Cors
from api.deps import GetAlerts, GetDeps
from api.dialects import error_response
from api.docs import OPENAPI_PATH, docs_routes
from api.fallback import Fallback
from api.health import health_routes
from api.jps_streams import jps_stream_routes
from api.metrics import MetricSources, metric_routes
from api.models import model_routes
from api.openapi import document
from api.preview_socket import preview_routes
from api.probe import probe_routes
from api.request_log import RequestLog
from api.request_meter import RequestMeter, RequestTally
from api.responses import response_routes
from api.status import status_routes
from api.stream_pictures import stream_picture_routes
from api.streams import stream_routes
from api.unknown import UnknownPath
from contracts.errors import MethodNotAllowed, NotFound

INSTEAD = {
    "/v1/completions": "is not offered; use /v1/chat/completions",
    "/v1/embeddings": "is not offered; use /v1/chat/completions; embeddings are not made here",
    "/v1/audio": "is not offered; use /v1/chat/completions; sound is not heard here",
    "/v1/files": "is not offered; use /analyze_video or /analyze_image, which take the file itself",
    "/v1/responses": "keeps nothing; send the whole conversation with each request",
}


def build_app(deps: GetDeps, *, alerts: GetAlerts | None = None, idle_s: float = IDLE_S) -> FastAPI:
    """The app; ``deps`` is called per request, so nothing is global.

    Args:
        deps: What the routes work with.
        alerts: Rules, events, feeds and deliveries, likewise; without, those have no routes.
        idle_s: Seconds that a body may stop in the middle.
    """
    app = FastAPI(
        title="Lookout",
        description="Questions to images, videos and live cameras.",
        redirect_slashes=False,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers={404: _answer_not_found, 405: _answer_wrong_method},
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.openapi = document(app, deps)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    intake, tally = Intake(deps, idle_s=idle_s), RequestTally()
    app.include_router(model_routes(deps))
    app.include_router(chat_routes(deps, intake))
    app.include_router(response_routes(deps, intake))
    app.include_router(analyze_routes(deps, intake))
    app.include_router(probe_routes(deps, intake))
    app.include_router(stream_routes(deps, intake))
    app.include_router(jps_stream_routes(deps, intake))
    app.include_router(stream_picture_routes(deps))
    app.include_router(preview_routes(deps))
    app.include_router(health_routes(deps))
    app.include_router(status_routes(deps, alerts))
    app.include_router(metric_routes(MetricSources(deps, alerts, tally)))
    if alerts is not None:
        add_alert_routes(app, deps, alerts, intake)
    app.router.routes += [*docs_routes(), UnknownPath()]
    app.add_middleware(KeyCheck, deps=deps)  # the last added is the outermost
    app.add_middleware(Fallback)
    app.add_middleware(Cors, deps=deps)
    app.add_middleware(RequestLog)
    app.add_middleware(RequestMeter, tally=tally)
    return app


async def _answer_not_found(request: Request, exc: Exception) -> Response:
    path = request.url.path
    message = "no such path; /docs lists the ones there are"
    for prefix, instead in INSTEAD.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            message = f"{prefix} {instead}"
    return error_response(NotFound(message), path)


async def _answer_wrong_method(request: Request, exc: Exception) -> Response:
    scope = dict(request.scope)
    methods = [
        method
        for method in METHODS
        if any(
            route.matches(scope | {"method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    allowed = ", ".join(methods)
    error = MethodNotAllowed(f"expected the method {allowed} for this path")
    return error_response(error, request.url.path, {"Allow": allowed})
