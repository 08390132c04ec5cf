"""Who may call: the key check, before anything of the body is read.

Keys are compared in constant time and never logged. Browsers cannot set headers on pictures and
WebSockets, so a few paths take the key from the query, where it is cut out at once: whatever logs
or reads the query later does not see it.
"""

import hmac
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import GetDeps
from api.docs import ASSETS, DOCS_PATH, OPENAPI_PATH
from contracts.errors import OriginNotAllowed, Unauthorized

PUBLIC_PATHS = frozenset({"/", "/livez", "/readyz", "/healthz", DOCS_PATH, OPENAPI_PATH, *ASSETS})
READY_PATH = "/api/v1/health/ready"
METRICS_PATH = "/metrics"
QUERY_KEY = "api_key"
QUERY_KEY_PATHS = re.compile(
    r"/v1/streams/[^/]+/(snapshot\.jpg|preview\.mjpeg|clip\.mp4)"
    r"|/v1/events/(feed|[^/]+/(frame\.jpg|clip\.mp4))"
)
PRIVATE_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}  # of such answers


class KeyCheck:
    """Middleware that raises ``Unauthorized`` unless the request has one of the keys.

    A WebSocket that a page of another origin opens is refused as well: ``OriginNotAllowed``.
    """

    def __init__(self, app: ASGIApp, deps: GetDeps) -> None:
        self._app = app
        self._deps = deps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket" or (
            scope["type"] == "http" and not is_public(scope["method"], scope["path"])
        ):
            settings = self._deps().settings
            given = take_query_key(scope)
            if not (settings.metrics_public and scope["path"] == METRICS_PATH):
                check_key(scope["headers"], settings.api_keys, given)
            if scope["type"] == "websocket":
                check_origin(Headers(scope=scope), settings.cors_origins)
        await self._app(scope, receive, send)


def is_public(method: str, path: str) -> bool:
    """Whether a request needs no key."""
    if method == "OPTIONS":
        return True
    if path == READY_PATH:
        return method in ("GET", "HEAD")
    return path in PUBLIC_PATHS


def take_query_key(scope: Scope) -> str:
    """Cut the key out of the query, where the path takes it from there; empty if there is none."""
    if scope["type"] == "http" and not (
        scope["method"] in ("GET", "HEAD") and QUERY_KEY_PATHS.fullmatch(scope["path"])
    ):
        return ""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [pair for pair in pairs if pair[0] != QUERY_KEY]
    if len(kept) < len(pairs):
        scope["query_string"] = urlencode(kept).encode()
    return next((value for name, value in pairs if name == QUERY_KEY), "")


def check_key(
    headers: Sequence[tuple[bytes, bytes]], keys: Sequence[SecretStr], query_key: str = ""
) -> None:
    """Check the ``Authorization`` header, or else the key that stood in the query.

    Raises:
        Unauthorized: There are keys, and the request has none of them.
    """
    if not keys:
        return
    scheme, _, given = dict(headers).get(b"authorization", b"").strip().partition(b" ")
    given = given.strip() if scheme.lower() == b"bearer" else b""
    given = given or query_key.encode()
    same = [
        hmac.compare_digest(key.get_secret_value().encode(), given)
        for key in keys  # a list: every key is compared, so time tells nothing
    ]
    if not any(same):
        came = "a wrong key came" if given else "none came"
        raise Unauthorized(f"expected the header Authorization: Bearer <key>, {came}")


def check_origin(headers: Headers, allowed: Sequence[str]) -> None:
    """Check the page that opens a WebSocket; programs send no origin.

    Raises:
        OriginNotAllowed: It is neither of this host nor one of the allowed.
    """
    origin = headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return
    if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise OriginNotAllowed("expected a page of this host, or one in VLM_CORS_ORIGINS")
