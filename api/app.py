"""The HTTP surface as one app; two can live in one process."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.analyze import analyze_routes
from api.auth import KeyCheck
from api.body import Intake
from api.chat import chat_routes
from api.cors import Cors
from api.deps import GetDeps
from api.dialects import error_response
from api.fallback import Fallback, server_error
from api.health import health_routes
from api.models import model_routes
from api.openapi import document
from api.probe import probe_routes
from api.request_log import RequestLog, request_id_of
from contracts.errors import MethodNotAllowed, NotFound, ServiceError

INSTEAD = {
    "/v1/completions": "/v1/chat/completions",
    "/v1/responses": "/v1/chat/completions",
    "/v1/embeddings": "/v1/chat/completions; embeddings are not made here",
    "/v1/audio": "/v1/chat/completions; sound is not heard here",
    "/v1/files": "/analyze_video or /analyze_image, which take the file itself",
}


def build_app(deps: GetDeps) -> FastAPI:
    """The app; ``deps`` is called per request, so nothing is global."""
    app = FastAPI(
        title="Lookout",
        description="Questions to images and videos.",
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers={HTTPException: _answer_http_exception},
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.openapi = document(app, deps)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    intake = Intake(deps)
    app.include_router(model_routes(deps))
    app.include_router(chat_routes(deps, intake))
    app.include_router(analyze_routes(deps, intake))
    app.include_router(probe_routes(deps, intake))
    app.include_router(health_routes(deps))
    app.add_middleware(KeyCheck, deps=deps)  # the last added is the outermost
    app.add_middleware(Fallback)
    app.add_middleware(Cors, deps=deps)
    app.add_middleware(RequestLog)
    return app


async def _answer_http_exception(request: Request, exc: Exception) -> Response:
    path = request.url.path
    if not isinstance(exc, HTTPException) or exc.status_code not in (404, 405):
        return error_response(server_error(request_id_of(request.scope)), path)
    error: ServiceError = NotFound(_not_found(path))
    if exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "")
        error = MethodNotAllowed(f"expected the method {allowed} for this path")
    return error_response(error, path, exc.headers)


def _not_found(path: str) -> str:
    for prefix, instead in INSTEAD.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return f"{prefix} is not offered; use {instead}"
    return "no such path; /docs lists the ones there are"
