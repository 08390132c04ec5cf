"""From where a medium is said to be to an open file, and what its first bytes say."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from contracts.errors import EmptyFile, MediaKind, MissingMedia
from contracts.media import MediaUrl, UploadedFile
from media.fetch import Fetcher
from media.folder import MediaFolder, is_file_url
from media.inline import decode_inline, is_remote, too_large
from media.limits import IfVideo, MediaLimits
from media.small_work import work_through
from media.sniff import HEAD_BYTES, Content, sniff


@dataclass(frozen=True, slots=True)
class Medium:
    """An open file and what its first bytes say."""

    file: BinaryIO
    content: Content
    fetch_s: float


class MediumOpener:
    """Opens uploads, URLs and, where a folder is given, its files.

    Args:
        limits: How large media may be, and how long they may take.
        fetcher: Downloads what is remote.
        folder: Whose files ``file:`` URLs may name.
    """

    def __init__(self, limits: MediaLimits, fetcher: Fetcher, folder: MediaFolder | None) -> None:
        self._limits = limits
        self._fetcher = fetcher
        self._folder = folder

    @asynccontextmanager
    async def open(
        self, source: UploadedFile | MediaUrl, kind: MediaKind, if_video: IfVideo | None = None
    ) -> AsyncIterator[Medium]:
        """Fetch or find a medium; it is closed after the block.

        Args:
            source: Where it is.
            kind: What it is expected to be.
            if_video: What holds, and is told, where it turns out to be a video.

        Raises:
            MediaError: There is none, it is empty, or it is too large.
        """
        started_s = time.monotonic()
        file = await self._file(source, kind, if_video)
        with file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if not head:
                raise EmptyFile(f"the {kind} has zero bytes", kind=kind)
            content = sniff(head)
            limits = self._limits.fetch("video" if content.family == "video" else kind)
            if if_video is not None and content.family == "video":
                if_video.tell()
            if os.fstat(file.fileno()).st_size > limits.max_bytes:
                raise too_large(limits.max_bytes, kind)
            yield Medium(file, content, time.monotonic() - started_s)

    async def _file(
        self, source: UploadedFile | MediaUrl, kind: MediaKind, if_video: IfVideo | None
    ) -> BinaryIO:
        if isinstance(source, UploadedFile):
            return source.path.open("rb")
        if not source.url.strip():
            raise MissingMedia(f"expected the {kind}'s URL, got nothing")
        if self._folder is not None and is_file_url(source.url):
            return await asyncio.to_thread(self._folder.open, source.url, kind)
        limits = self._limits.fetch(kind)
        if is_remote(source.url, kind):
            return await self._fetcher.fetch(source.url.strip(), kind, limits, if_video=if_video)
        max_bytes = (if_video.limits if if_video else limits).max_bytes
        return await work_through(
            len(source.url), partial(_inline_file, source.url, max_bytes, kind)
        )


def _inline_file(url: str, max_bytes: int, kind: MediaKind) -> BinaryIO:
    decoded = decode_inline(url, max_bytes, kind)
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # handed on to be closed
    file.write(decoded)
    file.seek(0)
    return file
