"""``stream`` parts: frames of a live stream as clients ask for them, and the reading of them.

A chat reads copies; neither the capture nor any rule notices.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from api.part_schemas import StreamRef
from api.stream_json import frame_age_s
from contracts.chat import ChatMessage, ImagePart, StreamExcerpt, VideoPart
from contracts.errors import ConflictingParameters, RequestError, StreamNotFound, TooManyFrames
from contracts.media import Clip, FramePolicy, Picture, PixelClaim
from contracts.previews import Previews
from contracts.settings import Settings
from contracts.stream_frames import StreamFrames
from contracts.streams import LookBack, StreamStatus

NO_STREAM = "No stream has been added."
BYTES_PER_PIXEL = 3


@dataclass(frozen=True, slots=True)
class WantedStream:
    """Frames of a live stream to read; ``path`` is the request's field that asks for them.

    Attributes:
        seconds: Look-back; ``None`` is only the newest ones.
        num_frames: ``None`` is the model's number of a look-back, and one without.
        is_tiled: Whether the one frame is shown as a picture, in tiles.
        takes_any: Whether an id that is not known means the only stream.
    """

    path: str
    stream_id: str
    seconds: float | None = None
    num_frames: int | None = None
    is_tiled: bool = False
    allow_stale: bool = False
    takes_any: bool = False

    def look_back(self, policy: FramePolicy, max_frames: int) -> LookBack:
        """The frames it means for one model."""
        if self.seconds is None:
            return LookBack(None, self.num_frames or 1)
        return LookBack(self.seconds, self.num_frames or min(policy.num_frames, max_frames))


def wanted_stream(
    ref: StreamRef, *, at: str, settings: Settings, takes_any: bool = False
) -> WantedStream:
    """What a ``stream`` at path ``at`` asks for.

    Raises:
        TooManyFrames, ConflictingParameters, RequestError: What no buffer could give.
    """
    seconds, num_frames = ref.last_seconds, ref.frames
    if seconds is not None and seconds > settings.ring_seconds:
        path = f"{at}.last_seconds"
        message = f"{path}: expected <= {settings.ring_seconds:g} (VLM_RING_SECONDS)"
        raise RequestError(message, param=path)
    if num_frames is not None and num_frames > settings.max_frames:
        path = f"{at}.frames"
        message = f"{path}: expected <= {settings.max_frames} (VLM_MAX_FRAMES), got {num_frames}"
        raise TooManyFrames(message, param=path)
    is_tiled = ref.detail == "high"
    has_several = seconds is not None if num_frames is None else num_frames > 1
    if is_tiled and has_several:
        raise ConflictingParameters(
            f"{at}.detail high resolves to one frame in tiles, last_seconds and frames to several"
            " frames; send detail low, or frames 1",
            param=f"{at}.detail",
        )
    return WantedStream(
        at,
        ref.stream_id or "",
        seconds,
        num_frames,
        is_tiled,
        allow_stale=bool(ref.allow_stale),
        takes_any=takes_any,
    )


def find_stream(one: WantedStream, streams: StreamFrames) -> StreamStatus:
    """The stream that is meant.

    Raises:
        StreamNotFound: There is none of that id; the message lists those there are.
    """
    there = {status.config.id: status for status in streams.statuses()}
    if one.stream_id in there:
        return there[one.stream_id]
    if one.takes_any and len(there) == 1:
        return next(iter(there.values()))
    path = f"{one.path}.stream_id"
    if not there:
        raise StreamNotFound(NO_STREAM, param=path)
    raise StreamNotFound(f"{path}: expected one of {', '.join(there)}", param=path)


async def read_stream(
    one: WantedStream,
    streams: StreamFrames,
    policy: FramePolicy,
    *,
    max_frames: int,
    claim: PixelClaim,
) -> ImagePart | VideoPart:
    """Read the frames.

    Raises:
        StreamNotFound, StreamNoFreshFrame, TooManyMedia: As they say.
    """
    status = find_stream(one, streams)
    stream_id, look_back = status.config.id, one.look_back(policy, max_frames)
    frame_bytes = (status.width or 0) * (status.height or 0) * BYTES_PER_PIXEL  # or less
    async with claim.room(look_back.num_frames * frame_bytes):
        clip = await asyncio.to_thread(
            streams.clip, stream_id, look_back, allow_stale=one.allow_stale
        )
        claim.hold(sum(frame.rgb.nbytes for frame in clip.frames))
    excerpt = _excerpt(clip, streams.status(stream_id))
    if not one.is_tiled:
        return VideoPart(clip, excerpt)
    picture = Picture(clip.frames[-1].rgb, clip.width, clip.height, clip.codec)
    return ImagePart(picture, "high", excerpt)


def note_answer(previews: Previews, messages: Sequence[ChatMessage], answer: str) -> None:
    """Let the previews of the streams that were asked about show what was said of them."""
    excerpts = [
        part.excerpt
        for message in messages
        for part in message.parts
        if isinstance(part, ImagePart | VideoPart)
    ]
    question = next((one.text for one in reversed(messages) if one.role == "user"), "")
    for stream_id in {excerpt.stream_id for excerpt in excerpts if excerpt is not None}:
        previews.note_answer(stream_id, question, answer)


def _excerpt(clip: Clip, status: StreamStatus) -> StreamExcerpt:
    moments = [frame.captured_at for frame in clip.frames if frame.captured_at is not None]
    return StreamExcerpt(
        status.config.id,
        clip.frame_times_s,
        captured_from=moments[0],
        captured_to=moments[-1],
        age_s=frame_age_s(status, moments[-1]),
    )
