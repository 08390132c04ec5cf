"""``multipart/x-mixed-replace``: one JPEG after the other in one answer; browsers show it live."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.auth import PRIVATE_HEADERS
from api.client import while_client_stays, while_serving
from contracts.errors import ShuttingDown, StreamNotFound
from contracts.previews import PreviewPicture, Viewer

BOUNDARY = "frame"
PART = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n--frame\r\n"
SEND_S = 30.0  # a client that takes nothing for so long is gone, though its connection is not
END_S = 1.0

Watch = Callable[[], AbstractAsyncContextManager[Viewer]]
Seat = Callable[[], AbstractContextManager[None]]


class MixedReplace(Response):
    """The pictures that one viewer sees, until it leaves, the stream goes, or the service stops.

    Each picture is taken when the client has taken the one before, so a slow one gets fewer.

    Args:
        watch: Opens the viewer's eyes.
        seat: Held meanwhile.
        stopping: Set when the service stops.
    """

    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"

    def __init__(self, watch: Watch, seat: Seat, stopping: asyncio.Event) -> None:
        super().__init__(headers={**PRIVATE_HEADERS, "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._watch = watch
        self._seat = seat
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pictures."""
        with self._seat():
            async with self._watch() as viewer, while_client_stays(receive):
                await self._begin(viewer, send)
                with suppress(ShuttingDown, StreamNotFound, TimeoutError):
                    async with while_serving(self._stopping):
                        await _send_pictures(viewer, send)
                with suppress(TimeoutError):
                    async with asyncio.timeout(END_S):
                        await send({"type": "http.response.body", "body": b""})

    async def _begin(self, viewer: Viewer, send: Send) -> None:
        """Send the first picture; nothing can refuse the request any more."""
        if self._stopping.is_set():
            raise ShuttingDown("the service is stopping; try again later")
        picture = await viewer.picture()
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await _send(send, b"--frame\r\n" + _part(picture))


async def _send_pictures(viewer: Viewer, send: Send) -> None:
    while True:
        await viewer.next_due()
        await _send(send, _part(await viewer.picture()))


def _part(picture: PreviewPicture) -> bytes:
    """A picture, and the boundary after it: a browser shows a part when its boundary comes."""
    return PART % (len(picture.jpeg), picture.jpeg)


async def _send(send: Send, body: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})
