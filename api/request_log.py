"""A request's id, and the one line that says how it went.

Query strings, headers and bodies are never logged. A WebSocket is logged when it ends.
"""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
SCOPE_KEY = "lookout.request_id"
CLIENT_LEFT = 499
OTHER = "other"
SWITCHED = 101
OPENINGS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class RequestLog:
    """Middleware that gives a request its id, and logs route, status and time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = scope[SCOPE_KEY] = choose_id(Headers(scope=scope).get("x-request-id", ""))
        began_s = time.monotonic()
        status = CLIENT_LEFT  # nothing sent: the request was cancelled

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in OPENINGS:
                status = message.get("status", SWITCHED)
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:  # not an error
            if status == CLIENT_LEFT:
                await _answer_nobody(scope, receive, send)
            status = CLIENT_LEFT
        finally:
            milliseconds = (time.monotonic() - began_s) * 1000
            logger.info(
                "%s %s %s %d %.0f ms",
                request_id,
                scope.get("method", "WEBSOCKET"),
                route_of(scope),
                status,
                milliseconds,
            )


def choose_id(asked: str) -> str:
    """The caller's id where it is a safe one, else a new one."""
    return asked if REQUEST_ID.fullmatch(asked) else f"req_{uuid.uuid4().hex}"


def request_id_of(scope: Scope) -> str:
    """The id that this request was given."""
    return str(scope[SCOPE_KEY])


def route_of(scope: Scope) -> str:
    """The template of the route that served a request; ``other`` for unknown paths.

    Of those, a server that the app is mounted in knows its mount, whose path is empty.
    """
    return str(getattr(scope.get("route"), "path", "")) or OTHER


async def _answer_nobody(scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer although the client left.

    Without a first message BentoML keeps the request for its whole ``traffic.timeout``, and the
    service from stopping; the server drops what it cannot deliver.
    """
    await Response(status_code=CLIENT_LEFT)(scope, receive, send)
