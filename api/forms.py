"""A multipart form, part by part: wanted files to disk, texts to memory, the rest to nowhere.

A file is written once, under a name of our own, in the directory that is given.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from contracts.errors import FileTooLarge, InvalidJson, MediaKind, RequestError, RequestTooLarge
from contracts.media import UploadedFile

MAX_PARTS = 64
FLUSH_BYTES = 1_000_000
CUT_SHORT = "multipart body: expected a closing boundary, the body ends before it"


@dataclass(frozen=True, slots=True)
class Form:
    """A received form; ``dropped`` names the files that nobody asked for."""

    texts: Mapping[str, list[str]]
    files: Mapping[str, list[UploadedFile]]
    dropped: tuple[str, ...]
    received_s: float


@dataclass(slots=True)
class _Part:
    """The part that is being received: a text, a wanted file or one to drop."""

    header_name: bytes = b""
    header_value: bytes = b""
    disposition: bytes = b""
    name: str = ""
    text: bytearray | None = None
    file: BinaryIO | None = None
    num_bytes: int = 0


@dataclass(slots=True)
class FormCollector:
    """What the parser calls, and what has come so far.

    Attributes:
        directory: Where files go.
        file_limits: Names of the parts that are files: what they hold, and most bytes of one.
        max_text_bytes: Bound on all texts together.
    """

    directory: Path
    file_limits: Mapping[str, tuple[MediaKind, int]]
    max_text_bytes: int
    is_complete: bool = False
    _part: _Part = field(default_factory=_Part)
    _texts: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _files: dict[str, list[UploadedFile]] = field(default_factory=lambda: defaultdict(list))
    _dropped: list[str] = field(default_factory=list)
    _unwritten: list[tuple[BinaryIO, bytes]] = field(default_factory=list)
    _num_parts: int = 0
    _num_text_bytes: int = 0
    _num_unwritten: int = 0
    _open_files: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "FormCollector":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open_files.close()

    async def take(self, parser: MultipartParser, chunk: bytes) -> None:
        """Parse the next bytes of the body."""
        try:
            parser.write(chunk)
        except FormParserError as exc:
            raise RequestError("multipart body: expected parts between boundaries") from exc
        if self._num_unwritten > FLUSH_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """Write what is left.

        Raises:
            RequestError: The body was cut short.
        """
        if not self.is_complete:
            raise RequestError(CUT_SHORT)
        await self._flush()
        self._open_files.close()

    def form(self, received_s: float) -> Form:
        """Everything that came, its texts decoded."""
        texts = {
            name: [_decode(text, name) for text in texts] for name, texts in self._texts.items()
        }
        return Form(texts, self._files, tuple(self._dropped), received_s)

    def on_part_begin(self) -> None:
        """Start a part."""
        self._num_parts += 1
        if self._num_parts > MAX_PARTS:
            raise RequestError(f"multipart body: expected at most {MAX_PARTS} parts")
        self._part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a header's name."""
        self._part.header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a header's value."""
        self._part.header_value += data[start:end]

    def on_header_end(self) -> None:
        """Keep the one header that matters."""
        if self._part.header_name.lower() == b"content-disposition":
            self._part.disposition = self._part.header_value
        self._part.header_name = self._part.header_value = b""

    def on_headers_finished(self) -> None:
        """Decide where the part goes."""
        _, options = parse_options_header(self._part.disposition)
        if b"name" not in options:
            raise RequestError("multipart body: expected a name in each part's Content-Disposition")
        self._part.name = options[b"name"].decode(errors="replace")
        if self._part.name in self.file_limits:
            self._open_file(self._part)
        elif b"filename" in options and self._part.name != "metadata":
            self._dropped.append(self._part.name)
        else:
            self._part.text = bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the part's content."""
        part, num_bytes = self._part, end - start
        part.num_bytes += num_bytes
        if part.text is not None:
            self._num_text_bytes += num_bytes
            if self._num_text_bytes > self.max_text_bytes:
                raise RequestTooLarge(
                    f"expected at most {self.max_text_bytes} bytes of text in the form"
                )
            part.text += data[start:end]
        elif part.file is not None:
            self._check_size(part)
            self._unwritten.append((part.file, data[start:end]))
            self._num_unwritten += num_bytes

    def on_part_end(self) -> None:
        """Keep the part's text; its file is kept already."""
        if self._part.text is not None:
            self._texts[self._part.name].append(bytes(self._part.text))

    def on_end(self) -> None:
        """Note that the closing boundary came."""
        self.is_complete = True

    def _open_file(self, part: _Part) -> None:
        path = self.directory / f"{self._num_parts}"
        part.file = self._open_files.enter_context(path.open("wb"))
        self._files[part.name].append(UploadedFile(path))

    def _check_size(self, part: _Part) -> None:
        kind, max_bytes = self.file_limits[part.name]
        if part.num_bytes > max_bytes:
            raise FileTooLarge(
                f"{part.name}: expected a file of at most {max_bytes} bytes",
                kind=kind,
                param=part.name,
            )

    async def _flush(self) -> None:
        unwritten, self._unwritten, self._num_unwritten = self._unwritten, [], 0
        await asyncio.to_thread(_write, unwritten)


def open_parser(content_type: str, collector: FormCollector) -> MultipartParser:
    """A parser that calls the collector.

    Raises:
        RequestError: The content type names no boundary, or one that is too long.
    """
    _, options = parse_options_header(content_type)
    if not options.get(b"boundary"):
        raise RequestError("multipart body: expected a boundary in Content-Type")
    try:
        return MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": collector.on_part_begin,
                "on_part_data": collector.on_part_data,
                "on_part_end": collector.on_part_end,
                "on_header_field": collector.on_header_field,
                "on_header_value": collector.on_header_value,
                "on_header_end": collector.on_header_end,
                "on_headers_finished": collector.on_headers_finished,
                "on_end": collector.on_end,
            },
        )
    except FormParserError as exc:
        raise RequestError("multipart body: the boundary is too long") from exc


def _write(pieces: list[tuple[BinaryIO, bytes]]) -> None:
    for file, piece in pieces:
        file.write(piece)


def _decode(text: bytes, name: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as exc:
        raise InvalidJson(f"{name}: expected UTF-8", param=name) from exc
