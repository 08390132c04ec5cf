"""The last catch: whatever is raised below becomes an answer in the dialect of its path."""

import logging
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dialects import error_response
from api.request_log import request_id_of
from contracts.errors import RunnerError, ServiceError

logger = logging.getLogger(__name__)

INTERNAL_ERROR = 1011  # how a WebSocket closes after a fault of ours


class Fallback:
    """Middleware that lets no exception out but a client's leaving and a cancellation."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noting_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            return await self._app(scope, receive, noting_send)
        except ClientDisconnect:
            raise
        except ServiceError as exc:
            error = public_error(exc, request_id_of(scope))
        except Exception:
            logger.exception("request %s failed", request_id_of(scope))
            error = server_error(request_id_of(scope))
        if not has_begun:  # a WebSocket whose handshake is refused gets the same answer
            await error_response(error, scope["path"])(scope, receive, send)
        elif scope["type"] == "websocket":
            with suppress(RuntimeError, OSError):  # it was closed before
                await send({"type": "websocket.close", "code": INTERNAL_ERROR})


def public_error(error: ServiceError, request_id: str) -> ServiceError:
    """What a client may be told of an error: all of it, unless the fault is ours."""
    if error.status != 500:
        return error
    logger.error("request %s failed", request_id, exc_info=error)
    return server_error(request_id)


def server_error(request_id: str) -> RunnerError:
    """A fault of ours, of which the client learns only the request's id."""
    return RunnerError(f"internal error, request {request_id}")
