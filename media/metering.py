"""Counts what reading media took and came to, around any ``MediaReader``. One event loop."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from contracts.errors import MediaKind, RunnerError, ServiceError
from contracts.latencies import Latencies
from contracts.media import (
    UNCOUNTED,
    Clip,
    FrameList,
    FramePolicy,
    FrameSampling,
    MediaReader,
    MediaSource,
    Picture,
    PixelClaim,
    PixelRange,
    UploadedFile,
    uncounted_clip,
)
from contracts.media_stats import MediaStats
from media.inline import scheme_of

BOUNDS_S = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
OK = "ok"
REMOTE = ("http", "https")

Medium = TypeVar("Medium", bound=Picture | Clip)


class MeteredReader:
    """A ``MediaReader`` that counts what another one reads; what was cancelled does not count."""

    def __init__(self, reader: MediaReader) -> None:
        self._reader = reader
        self._fetch_s: dict[MediaKind, Latencies] = {}
        self._decode_s: dict[MediaKind, Latencies] = {}
        self._results: Counter[tuple[MediaKind, str]] = Counter()

    def stats(self) -> MediaStats:
        """What was counted so far."""
        return MediaStats(
            {kind: counted.histogram for kind, counted in self._fetch_s.items()},
            {kind: counted.histogram for kind, counted in self._decode_s.items()},
            dict(self._results),
        )

    async def read_image(
        self, source: MediaSource, *, pixels: PixelRange, claim: PixelClaim = UNCOUNTED
    ) -> Picture:
        """Read one still picture; see ``MediaReader``."""
        with self._failures(lambda: "image"):
            picture = await self._reader.read_image(source, pixels=pixels, claim=claim)
        return self._counted(picture, source)

    async def read_clip(
        self,
        source: MediaSource,
        sampling: FrameSampling,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
    ) -> Clip:
        """Read the asked frames of a video; see ``MediaReader``."""
        with self._failures(lambda: "video"):
            clip = await self._reader.read_clip(
                source, sampling, policy=policy, pixels=pixels, claim=claim
            )
        return self._counted(clip, source)

    async def read_image_or_clip(
        self,
        source: MediaSource,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
        on_clip: Callable[[], None] = uncounted_clip,
    ) -> Picture | Clip:
        """Read whichever of the two the content is; see ``MediaReader``."""
        kind: MediaKind = "image"

        def note_clip() -> None:
            nonlocal kind
            kind = "video"
            on_clip()

        with self._failures(lambda: kind):
            medium = await self._reader.read_image_or_clip(
                source, policy=policy, pixels=pixels, claim=claim, on_clip=note_clip
            )
        return self._counted(medium, source)

    async def close(self) -> None:
        """Close the reader."""
        await self._reader.close()

    @contextmanager
    def _failures(self, kind: Callable[[], MediaKind]) -> Iterator[None]:
        try:
            yield
        except ServiceError as exc:
            self._results[kind(), exc.code] += 1
            raise
        except Exception:
            self._results[kind(), RunnerError.code] += 1
            raise

    def _counted(self, medium: Medium, source: MediaSource) -> Medium:
        kind: MediaKind = "image" if isinstance(medium, Picture) else "video"
        self._results[kind, OK] += 1
        self._decode_s.setdefault(kind, Latencies(BOUNDS_S)).count(medium.decode_s)
        if _is_downloaded(source):
            self._fetch_s.setdefault(kind, Latencies(BOUNDS_S)).count(medium.fetch_s)
        return medium


def _is_downloaded(source: MediaSource) -> bool:
    """Whether any of it came from another host."""
    if isinstance(source, UploadedFile):
        return False
    urls = source.urls if isinstance(source, FrameList) else (source.url,)
    return any(scheme_of(url) in REMOTE for url in urls)
