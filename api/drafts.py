"""A conversation whose media are still to be read, and the reading of them.

All that are to be read are read at once; the first that fails ends the others. A draft may also
hold media that were read before.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from api.deps import Deps
from api.media_parts import WantedClip, WantedPicture
from api.stream_parts import WantedStream, find_stream, read_stream
from contracts.chat import ChatMessage, ImagePart, Part, Role, TextPart, VideoPart
from contracts.errors import RequestError, TooManyMedia
from contracts.media import Clip, FramePolicy, MediaReader, PixelClaim
from contracts.settings import Settings

Wanted = WantedPicture | WantedClip | WantedStream
DraftPart = Part | Wanted


@dataclass(frozen=True, slots=True)
class DraftMessage:
    """A message before its media are read."""

    role: Role
    parts: tuple[DraftPart, ...]


Draft = tuple[DraftMessage, ...]


class ClipCount:
    """The clips of one conversation, counted as they are recognised. Thread-safe."""

    def __init__(self, max_videos: int) -> None:
        self._max_videos = max_videos
        self._places: set[int] = set()
        self._lock = threading.Lock()

    def note(self, place: int) -> None:
        """Count the medium at a place, once, as a clip.

        Raises:
            TooManyMedia: It is one clip too many.
        """
        with self._lock:
            self._places.add(place)
            _check_count("videos", len(self._places), self._max_videos, "VLM_MAX_VIDEOS")


def check_counts(draft: Draft, settings: Settings) -> None:
    """Check the numbers of pictures and clips.

    Raises:
        TooManyMedia: There are more than one request may hold.
    """
    parts = [part for message in draft for part in message.parts]
    pictures = sum(isinstance(part, ImagePart | WantedPicture) for part in parts)
    clips = sum(isinstance(part, VideoPart | WantedClip | WantedStream) for part in parts)
    _check_count("pictures", pictures, settings.max_images, "VLM_MAX_IMAGES")
    _check_count("videos", clips, settings.max_videos, "VLM_MAX_VIDEOS")


def check_streams(draft: Draft, deps: Deps) -> None:
    """Check that there are the live streams that a draft asks for.

    Raises:
        StreamNotFound: One is not there.
    """
    for one in wanted_media(draft):
        if isinstance(one, WantedStream):
            find_stream(one, deps.streams)


async def read_draft(
    draft: Draft, deps: Deps, policy: FramePolicy, claim: PixelClaim
) -> tuple[ChatMessage, ...]:
    """Read every medium of the conversation, in any order, and put each in its place.

    Raises:
        MediaError, StreamNotFound, StreamNoFreshFrame: One cannot be used; ``param`` says which.
        TooManyMedia: More of the pictures turned out to be videos than one request may hold.
    """
    wanted = list(wanted_media(draft))
    clips = ClipCount(deps.settings.max_videos)
    tasks = await _read_all(
        [_read(one, deps, policy, claim, partial(clips.note, i)) for i, one in enumerate(wanted)]
    )
    parts = iter(tasks)
    return tuple(
        ChatMessage(
            message.role,
            tuple(next(parts) if isinstance(part, Wanted) else part for part in message.parts),
        )
        for message in draft
    )


def wanted_media(draft: Draft) -> Iterator[Wanted]:
    """The media of a conversation that are still to be read, in order."""
    for message in draft:
        for part in message.parts:
            if isinstance(part, Wanted):
                yield part


def media_parts(messages: Sequence[ChatMessage]) -> Iterator[ImagePart | VideoPart]:
    """The media of a conversation that has been read, in order."""
    for message in messages:
        for part in message.parts:
            if not isinstance(part, TextPart):
                yield part


async def _read_all(reads: Sequence[Coroutine[None, None, ImagePart | VideoPart]]) -> list[Part]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read) for read in reads]
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from None  # the first that failed; the rest followed from it
    return [task.result() for task in tasks]


async def _read(
    one: Wanted,
    deps: Deps,
    policy: FramePolicy,
    claim: PixelClaim,
    on_clip: Callable[[], None],
) -> ImagePart | VideoPart:
    try:
        if isinstance(one, WantedStream):
            on_clip()
            most = deps.settings.max_frames
            return await read_stream(one, deps.streams, policy, max_frames=most, claim=claim)
        return await _read_file(one, deps.media, policy, claim, on_clip)
    except RequestError as exc:
        exc.param = exc.param or one.path
        raise


async def _read_file(
    one: WantedPicture | WantedClip,
    media: MediaReader,
    policy: FramePolicy,
    claim: PixelClaim,
    on_clip: Callable[[], None],
) -> ImagePart | VideoPart:
    if isinstance(one, WantedClip):
        on_clip()
        clip = await media.read_clip(
            one.source, one.sampling, policy=policy, pixels=one.pixels, claim=claim
        )
        return VideoPart(clip)
    if not one.may_be_clip:
        picture = await media.read_image(one.source, pixels=one.pixels, claim=claim)
        return ImagePart(picture, one.detail)
    seen = await media.read_image_or_clip(
        one.source, policy=policy, pixels=one.pixels, claim=claim, on_clip=on_clip
    )
    return VideoPart(seen) if isinstance(seen, Clip) else ImagePart(seen, one.detail)


def _check_count(what: str, count: int, limit: int, setting: str) -> None:
    if count > limit:
        raise TooManyMedia(f"expected at most {limit} {what} ({setting}), {count} came")
