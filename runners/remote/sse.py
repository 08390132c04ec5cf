"""Server-sent events as OpenAI's API sends them: one line of data each, ``[DONE]`` at the end."""

from collections.abc import AsyncGenerator, AsyncIterator

MAX_LINE_BYTES = 16 << 20
DONE = b"[DONE]"


class LineTooLong(Exception):
    """A line has more bytes than any event."""


async def event_data(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event until ``[DONE]`` or the end; comments and other fields are dropped.

    Only newlines end a line: JSON may hold what Unicode counts as one.

    Raises:
        LineTooLong: A line does not end.
    """
    pending = b""
    async for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            data = value.strip()
            if name != b"data" or not data:
                continue
            if data == DONE:
                return
            yield data
        if len(pending) > MAX_LINE_BYTES:
            raise LineTooLong
