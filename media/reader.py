"""The ``MediaReader`` of the service: fetch, recognise, decode in a process of its own.

Belongs to one event loop. Every temporary file is unnamed.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from contracts.errors import (
    UnsupportedMediaType,
)
from contracts.media import (
    U8,
    UNCOUNTED,
    Clip,
    Frame,
    FrameList,
    FramePolicy,
    FrameSampling,
    MediaSource,
    MediaUrl,
    Picture,
    PixelClaim,
    PixelRange,
    uncounted_clip,
)
from contracts.sampling import check_sampling
from contracts.settings import Settings
from media.addresses import AddressRules
from media.decoder import Decoder
from media.fetch import Fetcher
from media.folder import MediaFolder
from media.inline import as_frame_list, too_large
from media.jobs import ClipAnswer, ClipJob, FrameListJob, ImageJob, PictureAnswer
from media.kept_decodings import KeptDecodings
from media.limits import IfVideo, MediaLimits
from media.medium import Medium, MediumOpener
from media.sampling import check_list, choose_from_list
from media.small_work import work_through
from media.sniff import (
    UNKNOWN,
    not_a_video,
    not_an_image,
)


class IsolatedMediaReader:
    """Reads media; implements ``contracts.media.MediaReader``.

    Args:
        limits: What reading may take.
        verify: As ``requests`` understands it.
        media_dir: Directory whose files ``file:`` URLs may name; ``None``, as in the service:
            no such URL is accepted.
    """

    def __init__(
        self,
        limits: MediaLimits | Settings,
        *,
        verify: bool | str = True,
        media_dir: Path | None = None,
    ) -> None:
        self._limits = MediaLimits.of(limits) if isinstance(limits, Settings) else limits
        self._fetcher = Fetcher(AddressRules.parse(self._limits.media_allow), verify=verify)
        folder = None if media_dir is None else MediaFolder(media_dir)
        self._opener = MediumOpener(self._limits, self._fetcher, folder)
        self._decoder = Decoder(
            wall_s=self._limits.decode_s,
            memory_bytes=self._limits.decode_bytes,
            max_decoders=self._limits.max_decoders,
        )
        self._decodings = KeptDecodings(self._decoder, self._limits.kept_bytes)

    async def read_image(
        self, source: MediaSource, *, pixels: PixelRange, claim: PixelClaim = UNCOUNTED
    ) -> Picture:
        """Read one still picture.

        Raises:
            MediaError: As ``contracts.media.MediaReader`` says.
        """
        if isinstance(source, FrameList):
            raise UnsupportedMediaType("a list of frames is a video, not a picture", kind="image")
        async with self._opener.open(source, "image") as medium:
            return await self._picture(medium, pixels, claim)

    async def read_clip(
        self,
        source: MediaSource,
        sampling: FrameSampling,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
    ) -> Clip:
        """Read the asked frames of a video; contradictions are refused before it is fetched.

        For single pictures, ``sampling.fps`` is the rate they were taken at, as in ``FrameList``.

        Raises:
            MediaError, TooManyFrames, ConflictingParameters, EmptyTimeRange: As their names say.
        """
        if isinstance(source, MediaUrl):
            source = as_frame_list(source.url, sampling.fps) or source
        if isinstance(source, FrameList):
            return await self._clip_of_list(source, sampling, policy, pixels, claim)
        check_sampling(sampling, self._limits.max_frames)
        async with self._opener.open(source, "video") as medium:
            return await self._clip(medium, sampling, policy, pixels, claim)

    async def read_image_or_clip(
        self,
        source: MediaSource,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
        on_clip: Callable[[], None] = uncounted_clip,
    ) -> Picture | Clip:
        """Read whichever of the two the content is; of an animation, the first picture.

        Raises:
            MediaError: As ``contracts.media.MediaReader`` says.
        """
        if isinstance(source, MediaUrl):
            source = as_frame_list(source.url, None) or source
        if isinstance(source, FrameList):
            on_clip()
            return await self._clip_of_list(source, FrameSampling(), policy, pixels, claim)
        if_video = IfVideo(self._limits.video_fetch, on_clip)
        async with self._opener.open(source, "image", if_video) as medium:
            if medium.content.family == "video":
                return await self._clip(medium, FrameSampling(), policy, pixels, claim)
            return await self._picture(medium, pixels, claim)

    async def close(self) -> None:
        """End every decoder and download."""
        await self._decodings.close()
        await self._fetcher.close()

    async def _picture(self, medium: Medium, pixels: PixelRange, claim: PixelClaim) -> Picture:
        content = medium.content
        if not content.image_format:
            raise not_an_image(content)
        job = ImageJob(content.image_format, self._limits.max_image_pixels, pixels)
        started_s = time.monotonic()
        async with claim.room(self._limits.picture_bytes(pixels)):
            answer, rgb = await self._decodings.run(job, medium.file, "image")
            claim.hold(rgb.nbytes)
        assert isinstance(answer, PictureAnswer)
        return Picture(
            rgb[0],
            answer.width,
            answer.height,
            content.image_format,
            medium.fetch_s,
            time.monotonic() - started_s,
        )

    async def _clip(
        self,
        medium: Medium,
        sampling: FrameSampling,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim,
    ) -> Clip:
        content = medium.content
        if content.family != "video" and not content.is_gif and content.name != UNKNOWN.name:
            raise not_a_video(content)
        job = ClipJob(
            sampling,
            policy.num_frames,
            self._limits.max_frames,
            self._limits.max_frame_pixels,
            policy.size_wh,
            pixels,
            self._limits.decoder,
            content.family != "other",
        )
        started_s = time.monotonic()
        async with claim.room(self._limits.clip_bytes(policy)):
            answer, rgb = await self._decodings.run(job, medium.file, "video")
            claim.hold(rgb.nbytes)
        assert isinstance(answer, ClipAnswer)
        return _clip_from(answer, rgb, medium.fetch_s, time.monotonic() - started_s)

    async def _clip_of_list(
        self,
        source: FrameList,
        sampling: FrameSampling,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim,
    ) -> Clip:
        check_list(source, sampling, self._limits.max_frames)
        fps = sampling.fps or source.fps
        choice = choose_from_list(
            len(source.urls), replace(sampling, fps=fps), max_frames=self._limits.max_frames
        )
        started_s = time.monotonic()
        with tempfile.TemporaryFile() as joined:
            spans = [await self._append(source.urls[i], joined) for i in choice.indices]
            joined.flush()
            fetched_s = time.monotonic()
            job = FrameListJob(tuple(spans), self._limits.max_image_pixels, policy.size_wh, pixels)
            async with claim.room(self._limits.clip_bytes(policy)):
                answer, rgb = await self._decodings.run(job, joined, "video")
                claim.hold(rgb.nbytes)
        assert isinstance(answer, ClipAnswer)
        answer = replace(
            answer,
            times_s=tuple(i / fps for i in choice.indices),
            duration_s=choice.end_s,
            source_fps=fps,
            num_source_frames=len(source.urls),
            end_s=choice.end_s,
            sampled_by=choice.sampled_by,
        )
        return _clip_from(answer, rgb, fetched_s - started_s, time.monotonic() - fetched_s)

    async def _append(self, url: str, joined: BinaryIO) -> tuple[int, int, str]:
        """Put one picture of a list at the end of the file; where it lies there, and its format."""
        async with self._opener.open(MediaUrl(url), "image") as medium:
            if not medium.content.image_format:
                raise not_an_image(medium.content)
            max_bytes = self._limits.video_fetch.max_bytes
            copy = partial(_copy, medium.file, joined, max_bytes)
            num_bytes = os.fstat(medium.file.fileno()).st_size
            offset, size = await work_through(num_bytes, copy)
            await asyncio.sleep(0)  # others have their turn between a thousand small ones
            return offset, size, medium.content.image_format


def _copy(picture: BinaryIO, joined: BinaryIO, max_bytes: int) -> tuple[int, int]:
    offset, encoded = joined.tell(), picture.read()
    if offset + len(encoded) > max_bytes:
        raise too_large(max_bytes, "video")
    joined.write(encoded)
    return offset, len(encoded)


def _clip_from(answer: ClipAnswer, rgb: U8, fetch_s: float, decode_s: float) -> Clip:
    return Clip(
        frames=tuple(Frame(one, t) for one, t in zip(rgb, answer.times_s, strict=True)),
        duration_s=answer.duration_s,
        source_fps=answer.source_fps,
        num_source_frames=answer.num_source_frames,
        width=answer.width,
        height=answer.height,
        codec=answer.codec,
        start_s=answer.start_s,
        end_s=answer.end_s,
        sampled_by=answer.sampled_by,
        warnings=answer.warnings,
        fetch_s=fetch_s,
        decode_s=decode_s,
    )
