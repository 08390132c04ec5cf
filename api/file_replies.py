"""Files as answers, whole or in ranges."""

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from api.dialects import error_response
from contracts.errors import RangeNotSatisfiable

REFUSALS = (400, 416)  # of Starlette's, which are plain text


class _Refused(Exception):
    """The range cannot be had."""


class FileReply(FileResponse):
    """A file whose refusal of a ``Range`` is an error like every other."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or what of it is asked for."""

        async def send_unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in REFUSALS:
                raise _Refused
            await send(message)

        try:
            await super().__call__(scope, receive, send_unless_refused)
        except _Refused:
            size = int(self.headers["content-length"])
            error = RangeNotSatisfiable(
                f"Range: expected bytes=FIRST-LAST within the {size} bytes there are", param="Range"
            )
            headers = {"content-range": f"bytes */{size}"}
            await error_response(error, scope["path"], headers)(scope, receive, send)
