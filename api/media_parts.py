"""Media as clients ask for them, checked as far as can be without reading them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from api.chat_schemas import ALL_FRAMES, ChatBody, ProcessorKwargs, VideoKwargs
from api.part_schemas import ImageUrl, PixelBounds, VideoUrl
from contracts.chat import Detail
from contracts.errors import (
    ConflictingParameters,
    MissingMedia,
    RequestError,
    UnsupportedParameter,
)
from contracts.media import FrameList, FrameSampling, MediaSource, MediaUrl, PixelRange
from contracts.sampling import check_sampling
from contracts.settings import Settings

T = TypeVar("T", int, float)
ANY_SIZE = PixelRange()
ANY_FRAMES = FrameSampling()
FRAME_LIST_PREFIX = "data:video/jpeg;base64,"
MAX_UPSCALED_PIXELS = 5_308_416  # 2304x2304: the largest grid of tiles the family looks at


@dataclass(frozen=True, slots=True)
class WantedPicture:
    """A picture to read; ``path`` is the request's field that asks for it."""

    path: str
    source: MediaSource
    pixels: PixelRange = ANY_SIZE
    detail: Detail = "auto"
    may_be_clip: bool = False


@dataclass(frozen=True, slots=True)
class WantedClip:
    """A video to read frames of."""

    path: str
    source: MediaSource
    sampling: FrameSampling
    pixels: PixelRange = ANY_SIZE


@dataclass(frozen=True, slots=True)
class ClipDefaults:
    """What a body says for all of its videos."""

    sampling: FrameSampling = ANY_FRAMES
    pixels: PixelRange = ANY_SIZE


def wanted_picture(image: ImageUrl, *, at: str, settings: Settings) -> WantedPicture:
    """The picture that an ``image_url`` at path ``at`` asks for."""
    pixels = _pixel_range(image, ANY_SIZE, at=at, settings=settings)
    source = MediaUrl(image.url or "")
    return WantedPicture(at, source, pixels, image.detail or "auto", may_be_clip=True)


def wanted_clip(
    video: VideoUrl, defaults: ClipDefaults, *, at: str, settings: Settings
) -> WantedClip:
    """The clip that a ``video_url`` at path ``at`` asks for."""
    sampling = FrameSampling(
        fps=_first(video.fps, defaults.sampling.fps),
        num_frames=_first(video.num_frames, defaults.sampling.num_frames),
        max_frames=_first(video.max_frames, defaults.sampling.max_frames),
        start_s=video.start_s,
        end_s=video.end_s,
    )
    pixels = _pixel_range(video, defaults.pixels, at=at, settings=settings)
    source, sampling = clip_source(video.url or "", sampling, at=at, url_at=f"{at}.url")
    check_sampling(sampling, settings.max_frames, at=at)
    return WantedClip(at, source, sampling, pixels)


def clip_source(
    url: str | Sequence[str], sampling: FrameSampling, *, at: str, url_at: str
) -> tuple[MediaUrl | FrameList, FrameSampling]:
    """A video's URL, or its frames one by one; then ``fps`` is the rate they were taken at.

    Args:
        url: What came.
        sampling: The wishes.
        at: Path of the object that holds the wishes.
        url_at: Path of what came.

    Raises:
        UnsupportedParameter: A span of time was asked of single frames.
        MissingMedia: One of the frames is empty.
    """
    if isinstance(url, str) and not url.lower().startswith(FRAME_LIST_PREFIX):
        return MediaUrl(url), sampling
    urls = url[len(FRAME_LIST_PREFIX) :].split(",") if isinstance(url, str) else url
    if not all(urls):
        raise MissingMedia(f"{url_at}: expected no empty frame", param=url_at)
    for name, seconds in (("start_s", sampling.start_s), ("end_s", sampling.end_s)):
        if seconds is not None:
            path = f"{at}.{name}".removeprefix(".")
            message = f"{path}: expected none, since {url_at} is a list of frames"
            raise UnsupportedParameter(message, param=path)
    return FrameList(tuple(urls), sampling.fps or 1.0), replace(sampling, fps=None)


def clip_defaults(body: ChatBody, settings: Settings) -> ClipDefaults:
    """What ``media_io_kwargs`` and ``mm_processor_kwargs`` say for all videos.

    Raises:
        ConflictingParameters: They say different things.
    """
    io = (body.media_io_kwargs and body.media_io_kwargs.video) or VideoKwargs()
    processor = body.mm_processor_kwargs or ProcessorKwargs()
    sampling = FrameSampling(
        fps=_same(io.fps, processor.fps, "fps"),
        num_frames=_same(
            _resolve(io.num_frames, settings),
            _resolve(processor.num_frames, settings),
            "num_frames",
        ),
        max_frames=_same(io.max_frames, processor.max_frames, "max_frames"),
    )
    return ClipDefaults(sampling, PixelRange(processor.min_pixels, processor.max_pixels))


def _resolve(num_frames: int | None, settings: Settings) -> int | None:
    return settings.max_frames if num_frames == ALL_FRAMES else num_frames


def _same(io: T | None, processor: T | None, name: str) -> T | None:
    if io is not None and processor is not None and io != processor:
        raise ConflictingParameters(
            f"media_io_kwargs.video.{name} {io:g} and mm_processor_kwargs.{name} {processor:g} "
            "are one thing; send one of them",
            param=f"mm_processor_kwargs.{name}",
        )
    return _first(io, processor)


def _first(one: T | None, other: T | None) -> T | None:
    return other if one is None else one


def _pixel_range(
    bounds: PixelBounds, default: PixelRange, *, at: str, settings: Settings
) -> PixelRange:
    fewest = _one_of(bounds.min_pixel, bounds.min_pixels, f"{at}.min_pixel")
    most = _one_of(bounds.max_pixel, bounds.max_pixels, f"{at}.max_pixel")
    pixels = PixelRange(_first(fewest, default.min_pixels), _first(most, default.max_pixels))
    _check_order(pixels, f"{at}.min_pixel")
    most_fewest = min(MAX_UPSCALED_PIXELS, settings.max_image_pixels)
    if pixels.min_pixels is not None and pixels.min_pixels > most_fewest:
        path = f"{at}.min_pixel"
        raise RequestError(f"{path}: expected 1..{most_fewest} (less_than_equal)", param=path)
    return pixels


def _one_of(short: int | None, long: int | None, path: str) -> int | None:
    if short is not None and long is not None and short != long:
        raise ConflictingParameters(
            f"{path} {short} and {path}s {long} are one thing; send one of them", param=path
        )
    return _first(short, long)


def _check_order(pixels: PixelRange, path: str) -> None:
    low, high = pixels.min_pixels, pixels.max_pixels
    if low is not None and high is not None and low > high:
        message = f"{path} {low} and max_pixel {high}: expected {path} <= max_pixel"
        raise ConflictingParameters(message, param=path)
