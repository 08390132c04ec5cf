"""Pictures and clips as callers of ``LLM`` name them: paths, URLs, pixels in memory.

Files are not opened here; the media reader does that in a process of its own.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from api.drafts import DraftPart, Wanted
from api.media_parts import WantedClip, WantedPicture
from contracts.chat import ImagePart, TextPart, VideoPart
from contracts.errors import RequestError
from contracts.media import U8, FramePolicy, FrameSampling, MediaUrl, UploadedFile
from contracts.sampling import check_sampling
from contracts.settings import Settings
from runners.offline.pixels import (
    Frames,
    Pixels,
    PromptError,
    check_frames,
    check_pixels,
    clip_of,
    picture_of,
)

URL_BEGINNINGS = ("http://", "https://", "data:", "file:")
WHOLE = FrameSampling()


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video, by its path or URL, and which of its frames to look at."""

    path: str | Path
    sampling: FrameSampling = WHOLE


ImageInput = str | Path | Pixels
ClipInput = str | Path | VideoFile | Frames | U8

PromptPart = TextPart | Wanted | Image.Image | U8 | Frames  # checked; pixels in memory as they came


def image_part(image: object, *, at: str) -> PromptPart:
    """A picture, checked.

    Raises:
        PromptError: It is none, or there is no such file.
    """
    if isinstance(image, str | Path):
        return WantedPicture(at, _source(image, at))
    check_pixels(image, at=at)
    assert isinstance(image, Image.Image | np.ndarray)
    return image


def clip_part(clip: object, *, at: str, settings: Settings) -> PromptPart:
    """A clip, checked.

    Raises:
        PromptError: It is none, there is no such file, or its sampling contradicts itself.
    """
    if isinstance(clip, str | Path):
        clip = VideoFile(clip)
    if isinstance(clip, VideoFile):
        return _wanted_clip(clip, at, settings)
    if isinstance(clip, np.ndarray):
        clip = Frames(clip)
    if not isinstance(clip, Frames):
        came = type(clip).__name__
        raise PromptError(f"{at}: expected a path, VideoFile, Frames or an array, got {came}")
    check_frames(clip, at=at)
    return clip


def draft_part(part: PromptPart, settings: Settings, policy: FramePolicy) -> DraftPart:
    """The part with its pixels made, where they were in memory."""
    if isinstance(part, Frames):
        clip = clip_of(part, max_frames=settings.max_frames, size_wh=policy.size_wh)
        return VideoPart(clip)
    if isinstance(part, Image.Image | np.ndarray):
        return ImagePart(picture_of(part))
    return part


def _wanted_clip(video: VideoFile, at: str, settings: Settings) -> WantedClip:
    try:
        check_sampling(video.sampling, settings.max_frames, at=at)
    except RequestError as exc:
        raise PromptError(exc.message) from exc
    return WantedClip(at, _source(video.path, at), video.sampling)


def _source(path: str | Path, at: str) -> UploadedFile | MediaUrl:
    if isinstance(path, str) and path.lower().startswith(URL_BEGINNINGS):
        return MediaUrl(path)
    if not Path(path).is_file():
        raise PromptError(f"{at}: there is no file {path}")
    return UploadedFile(Path(path))
