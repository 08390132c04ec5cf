"""Who may call: the key check, before anything of the body is read.

Keys are compared in constant time and never logged.
"""

import hmac
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import GetDeps
from api.docs import ASSETS, DOCS_PATH, OPENAPI_PATH
from contracts.errors import Unauthorized

PUBLIC_PATHS = frozenset({"/", "/livez", "/readyz", "/healthz", DOCS_PATH, OPENAPI_PATH, *ASSETS})
READY_PATH = "/api/v1/health/ready"


class KeyCheck:
    """Middleware that raises ``Unauthorized`` unless the request has one of the keys."""

    def __init__(self, app: ASGIApp, deps: GetDeps) -> None:
        self._app = app
        self._deps = deps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and not is_public(scope["method"], scope["path"]):
            check_key(scope["headers"], self._deps().settings.api_keys)
        await self._app(scope, receive, send)


def is_public(method: str, path: str) -> bool:
    """Whether a request needs no key."""
    if method == "OPTIONS":
        return True
    if path == READY_PATH:
        return method in ("GET", "HEAD")
    return path in PUBLIC_PATHS


def check_key(headers: Sequence[tuple[bytes, bytes]], keys: Sequence[SecretStr]) -> None:
    """Check the ``Authorization`` header.

    Raises:
        Unauthorized: There are keys, and the request has none of them.
    """
    if not keys:
        return
    scheme, _, given = dict(headers).get(b"authorization", b"").strip().partition(b" ")
    same = [
        hmac.compare_digest(key.get_secret_value().encode(), given.strip())
        for key in keys  # a list: every key is compared, so time tells nothing
    ]
    if scheme.lower() == b"bearer" and any(same):
        return
    came = "a wrong key came" if given else "none came"
    raise Unauthorized(f"expected the header Authorization: Bearer <key>, {came}")
