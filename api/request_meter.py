"""Counts requests by route, method and status, and how long they took. One event loop.

No label takes a value from outside: unknown paths and methods count as ``other``.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.cors import METHODS
from api.request_log import CLIENT_LEFT, OPENINGS, OTHER, SWITCHED, route_of
from contracts.latencies import Histogram, Latencies

BOUNDS_S = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 300.0)
WEBSOCKET = "WEBSOCKET"


@dataclass(frozen=True, slots=True)
class RequestStats:
    """One look at it.

    Attributes:
        ended: Requests by route, method and status.
        seconds: From headers to the last byte, by route.
    """

    ended: Mapping[tuple[str, str, int], int]
    seconds: Mapping[str, Histogram]


class RequestTally:
    """What was counted of one app's requests."""

    def __init__(self) -> None:
        self._ended: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, Latencies] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that ended."""
        self._ended[route, method, status] += 1
        self._seconds.setdefault(route, Latencies(BOUNDS_S)).count(seconds)

    def stats(self) -> RequestStats:
        """What was counted so far."""
        seconds = {route: counted.histogram for route, counted in self._seconds.items()}
        return RequestStats(dict(self._ended), seconds)


class RequestMeter:
    """Middleware that counts; an answer that was not sent to its end has a client that left."""

    def __init__(self, app: ASGIApp, tally: RequestTally) -> None:
        self._app = app
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        status, is_whole = CLIENT_LEFT, False

        async def noting_send(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] in OPENINGS:
                status = message.get("status", SWITCHED)
            await send(message)
            is_whole = is_whole or not message.get("more_body", _has_more(message))

        try:
            await self._app(scope, receive, noting_send)
        finally:
            seconds = time.monotonic() - began_s
            ended = status if is_whole else CLIENT_LEFT
            self._tally.count(route_of(scope), _method(scope), ended, seconds)


def _has_more(message: Message) -> bool:
    """Whether something follows a message that does not say; a WebSocket may end at any time."""
    return str(message["type"]).endswith(".response.start")


def _method(scope: Scope) -> str:
    if scope["type"] == "websocket":
        return WEBSOCKET
    return scope["method"] if scope["method"] in METHODS else OTHER
