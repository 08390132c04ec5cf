"""A conversation whose media are still to be read, and the reading of them.

All media of a conversation are read at once; the first that fails ends the others.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass

from api.media_parts import WantedClip, WantedPicture
from contracts.chat import ChatMessage, ImagePart, Part, Role, TextPart, VideoPart
from contracts.errors import RequestError, TooManyMedia
from contracts.media import Clip, FramePolicy, MediaReader, PixelClaim
from contracts.settings import Settings

Wanted = WantedPicture | WantedClip
DraftPart = TextPart | WantedPicture | WantedClip


@dataclass(frozen=True, slots=True)
class DraftMessage:
    """A message before its media are read."""

    role: Role
    parts: tuple[DraftPart, ...]


Draft = tuple[DraftMessage, ...]


def check_counts(draft: Draft, settings: Settings) -> None:
    """Check the numbers of pictures and clips.

    Raises:
        TooManyMedia: There are more than one request may hold.
    """
    wanted = list(wanted_media(draft))
    pictures = sum(isinstance(one, WantedPicture) for one in wanted)
    _check_count("pictures", pictures, settings.max_images, "VLM_MAX_IMAGES")
    _check_count("videos", len(wanted) - pictures, settings.max_videos, "VLM_MAX_VIDEOS")


async def read_draft(
    draft: Draft,
    media: MediaReader,
    policy: FramePolicy,
    settings: Settings,
    claim: PixelClaim,
) -> tuple[ChatMessage, ...]:
    """Read every medium of the conversation, in any order, and put each in its place.

    Raises:
        MediaError: One cannot be used; ``param`` says which.
        TooManyMedia: More of the pictures turned out to be videos than one request may hold.
    """
    wanted = list(wanted_media(draft))
    tasks = await _read_all([_read(one, media, policy, claim) for one in wanted])
    parts = iter(tasks)
    messages = tuple(
        ChatMessage(
            message.role,
            tuple(part if isinstance(part, TextPart) else next(parts) for part in message.parts),
        )
        for message in draft
    )
    clips = sum(isinstance(part, VideoPart) for part in tasks)
    _check_count("videos", clips, settings.max_videos, "VLM_MAX_VIDEOS")
    return messages


def wanted_media(draft: Draft) -> Iterator[Wanted]:
    """The media of a conversation, in order."""
    for message in draft:
        for part in message.parts:
            if not isinstance(part, TextPart):
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
    one: Wanted, media: MediaReader, policy: FramePolicy, claim: PixelClaim
) -> ImagePart | VideoPart:
    try:
        if isinstance(one, WantedClip):
            clip = await media.read_clip(
                one.source, one.sampling, policy=policy, pixels=one.pixels, claim=claim
            )
            return VideoPart(clip)
        if not one.may_be_clip:
            picture = await media.read_image(one.source, pixels=one.pixels, claim=claim)
            return ImagePart(picture, one.detail)
        seen = await media.read_image_or_clip(
            one.source, policy=policy, pixels=one.pixels, claim=claim
        )
        return VideoPart(seen) if isinstance(seen, Clip) else ImagePart(seen, one.detail)
    except RequestError as exc:
        exc.param = exc.param or one.path
        raise


def _check_count(what: str, count: int, limit: int, setting: str) -> None:
    if count > limit:
        raise TooManyMedia(f"expected at most {limit} {what} ({setting}), {count} came")
