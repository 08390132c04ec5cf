"""Pages of other origins that may call, as ``VLM_CORS_ORIGINS`` names them; no cookies."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import GetDeps

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
REQUEST_HEADERS = ("Authorization", "Content-Type", "Last-Event-ID", "X-Request-Id")
RESPONSE_HEADERS = (
    "x-request-id",
    "x-error-code",
    "x-should-retry",
    "retry-after",
    "x-ignored-parameters",
)


class Cors:
    """Middleware that answers preflights and marks answers for the allowed origins."""

    def __init__(self, app: ASGIApp, deps: GetDeps) -> None:
        self._app = app
        self._deps = deps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        origins = self._deps().settings.cors_origins if scope["type"] == "http" else ()
        if not origins:
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("access-control-request-headers", "")
        names = [name.strip() for name in asked.lower().split(",")]
        cors = CORSMiddleware(
            self._app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=[*REQUEST_HEADERS, *(n for n in names if n.startswith("x-stainless-"))],
            expose_headers=RESPONSE_HEADERS,
        )
        await cors(scope, receive, send)
