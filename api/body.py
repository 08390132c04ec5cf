"""Requests as they come in: the type and size of their bodies, and how many at a time.

One ``Intake`` belongs to one app. Not thread-safe: one event loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from starlette.requests import Request

from api.deps import GetDeps
from api.forms import Form, FormCollector, open_parser
from api.json_text import parse_json
from api.pixel_budget import PixelBudget, PixelClaim
from contracts.errors import (
    BodyStopped,
    MediaKind,
    QueueFull,
    RequestTooLarge,
    UnsupportedContentType,
)
from contracts.settings import Settings

T = TypeVar("T")
MB = 1 << 20
SMALL_BYTES = 65_536  # a body that says it is no longer than this needs no place
IDLE_S = 30.0  # without a byte; whoever sends nothing keeps a place from others
THREAD_BYTES = 16_384  # longer JSON, a schema in it say, is parsed and read beside the event loop


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A parsed JSON body; ``received_s`` is when its last byte came, on ``time.monotonic``."""

    value: object
    received_s: float
    is_long: bool = False

    async def read(self, read: Callable[[object], T]) -> T:
        """What a reader makes of the value; of a long one, beside the event loop."""
        if self.is_long:
            return await asyncio.to_thread(read, self.value)
        return read(self.value)


class Intake:
    """Receives within ``VLM_MAX_JSON_MB``, ``_UPLOAD_MB``, ``_UPLOADS`` and ``_QUEUE``."""

    def __init__(self, deps: GetDeps, *, idle_s: float = IDLE_S) -> None:
        self._deps = deps
        self._idle_s = idle_s
        self._num_receiving = 0
        self._num_waiting = 0
        self._pixels = PixelBudget(deps)

    async def json(self, request: Request) -> JsonBody:
        """Receive a JSON body.

        Raises:
            UnsupportedContentType, RequestTooLarge, BodyStopped, QueueFull, InvalidJson: As they
                say.
        """
        require_type(request, "application/json")
        max_bytes = self._deps().settings.max_json_mb * MB
        text = bytearray()
        with self._place(request):
            async for chunk in _chunks(request, max_bytes, self._idle_s):
                text += chunk
        received_s = time.monotonic()
        if len(text) > THREAD_BYTES:
            value = await asyncio.to_thread(parse_json, bytes(text))
            return JsonBody(value, received_s, is_long=True)
        return JsonBody(parse_json(bytes(text)), received_s)

    @asynccontextmanager
    async def form(self, request: Request, files: Mapping[str, MediaKind]) -> AsyncIterator[Form]:
        """Receive a multipart body; its files are on disk until the context ends.

        Args:
            request: Of type multipart/form-data.
            files: The parts that are files, and what they hold; other files are passed over.

        Raises:
            RequestTooLarge, BodyStopped, FileTooLarge, QueueFull, RequestError: As they say.
        """
        settings = self._deps().settings
        with TemporaryDirectory(prefix="lookout-", ignore_cleanup_errors=True) as directory:
            limits = {name: (kind, file_bytes(kind, settings)) for name, kind in files.items()}
            collector = FormCollector(Path(directory), limits, settings.max_json_mb * MB)
            with self._place(request), collector:
                parser = open_parser(request.headers.get("content-type", ""), collector)
                async for chunk in _chunks(request, settings.max_upload_mb * MB, self._idle_s):
                    await collector.take(parser, chunk)
                await collector.finish()
            yield collector.form(time.monotonic())

    @contextmanager
    def line(self) -> Iterator[PixelClaim]:
        """Stand in line, from the whole body to the model's admission.

        Whoever stands here holds a body in memory or on disk, and wants decoders. The claim on
        pixels outlasts the line, unless that fails; who is served closes it.

        Raises:
            QueueFull: As many stand there as may wait, and one whose turn it is.
        """
        if self._num_waiting > self._deps().settings.max_queue:
            raise QueueFull(f"{self._num_waiting} requests wait (VLM_MAX_QUEUE); try again later")
        self._num_waiting += 1
        claim = self._pixels.claim()
        try:
            yield claim
        except BaseException:
            claim.close()
            raise
        finally:
            self._num_waiting -= 1

    @contextmanager
    def _place(self, request: Request) -> Iterator[None]:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) <= SMALL_BYTES:
            yield
            return
        if self._num_receiving >= self._deps().settings.max_uploads:
            raise QueueFull(
                f"{self._num_receiving} bodies are being received, which is as many as may be; "
                "try again later"
            )
        self._num_receiving += 1
        try:
            yield
        finally:
            self._num_receiving -= 1


def content_type(request: Request) -> str:
    """The media type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_type(request: Request, *accepted: str) -> str:
    """The media type of the body, which must be one of these.

    Raises:
        UnsupportedContentType: It is another one.
    """
    came = content_type(request)
    if came not in accepted:
        raise UnsupportedContentType(
            f"expected Content-Type {' or '.join(accepted)}, {'another' if came else 'none'} came"
        )
    return came


def file_bytes(kind: MediaKind, settings: Settings) -> int:
    """How many bytes one file of a kind may have."""
    return (settings.max_image_mb if kind == "image" else settings.max_video_mb) * MB


async def _chunks(request: Request, max_bytes: int, idle_s: float) -> AsyncIterator[bytes]:
    error = RequestTooLarge(f"expected a body of at most {max_bytes} bytes; send less, or a URL")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > max_bytes:
        raise error
    num_bytes = 0
    stream = request.stream()
    while (chunk := await _next(stream, idle_s)) is not None:
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            raise error
        yield chunk


async def _next(stream: AsyncIterator[bytes], idle_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(idle_s) as idle:
            return await anext(stream, None)
    except TimeoutError as exc:
        if not idle.expired():
            raise
        message = f"the body stopped coming: expected the next byte within {idle_s:g} s"
        raise BodyStopped(message) from exc
