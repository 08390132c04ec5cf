"""Pictures and clips that the caller has in memory, checked and made into what runners take.

Arrays are uint8 RGB of shape (H, W, 3) and are not copied; Pillow pictures have any mode. Checks
are cheap, and say what is wrong with the value at a path.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageOps

from contracts.media import U8, Clip, Frame, FrameSampling, Picture
from media.resize import resize_picture
from media.rgb import to_rgb, to_rgb_array
from media.sampling import choose_from_list

RAW = "raw"  # the format of what came without a file

Pixels = U8 | Image.Image


class PromptError(ValueError):
    """A prompt cannot be used; the message has its index and says what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A clip in memory.

    Attributes:
        pictures: Pictures of one size in time order, or one array (F, H, W, 3).
        fps: Pictures a second; 1 when neither this nor ``times_s`` is given.
        times_s: When each picture is first on screen, increasing.
    """

    pictures: Sequence[Pixels] | U8
    fps: float | None = None
    times_s: Sequence[float] | None = None


def check_pixels(pixels: object, *, at: str) -> None:
    """Refuse what is no picture.

    Raises:
        PromptError: It is not.
    """
    if isinstance(pixels, Image.Image):
        return
    if not isinstance(pixels, np.ndarray):
        came = type(pixels).__name__
    elif pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        came = f"{pixels.dtype} {pixels.shape}"
    else:
        return
    raise PromptError(f"{at}: expected a Pillow picture or a uint8 array (H, W, 3), got {came}")


def check_frames(frames: Frames, *, at: str) -> None:
    """Refuse what is no clip.

    Raises:
        PromptError: It has no picture, pictures of several sizes, or times that are none.
    """
    if not len(frames.pictures):
        raise PromptError(f"{at}: expected at least one picture, got none")
    for index, pixels in enumerate(frames.pictures):
        check_pixels(pixels, at=f"{at}[{index}]")
    sizes = sorted({_size_wh(pixels) for pixels in frames.pictures})
    if len(sizes) > 1:
        told = " and ".join(f"{width}x{height}" for width, height in sizes[:2])
        raise PromptError(f"{at}: expected pictures of one size, got {told}")
    _check_times(frames, at)


def picture_of(pixels: Pixels) -> Picture:
    """The picture, upright."""
    rgb = _rgb(pixels)
    height, width, _ = rgb.shape
    return Picture(rgb, width, height, RAW)


def clip_of(frames: Frames, *, max_frames: int, size_wh: tuple[int, int] | None) -> Clip:
    """All pictures, or ``max_frames`` of them, evenly, both ends included.

    Args:
        frames: Checked.
        max_frames: As many as the model may get.
        size_wh: What they are squashed to, as the media reader squashes those of files.
    """
    num_pictures = len(frames.pictures)
    fps = frames.fps or 1.0
    choice = choose_from_list(num_pictures, FrameSampling(fps=fps), max_frames=max_frames)
    chosen = [_rgb(frames.pictures[index]) for index in choice.indices]
    height, width, _ = chosen[0].shape
    squashed = [_squashed(rgb, size_wh or (width, height)) for rgb in chosen]
    is_timed = frames.times_s is not None
    times_s = [index / fps for index in range(num_pictures)]
    if frames.times_s is not None:
        times_s = [float(time_s) for time_s in frames.times_s]
    return Clip(
        frames=tuple(map(Frame, squashed, (times_s[index] for index in choice.indices))),
        duration_s=None if is_timed else choice.end_s,
        source_fps=None if is_timed else fps,
        num_source_frames=num_pictures,
        width=width,
        height=height,
        codec=RAW,
        start_s=times_s[0],
        end_s=times_s[-1] if is_timed else choice.end_s,
        sampled_by=choice.sampled_by,
    )


def _check_times(frames: Frames, at: str) -> None:
    fps, times_s = frames.fps, frames.times_s
    if fps is not None and times_s is not None:
        raise PromptError(f"{at}: expected fps or times_s, got both")
    if fps is not None and not 0 < fps < math.inf:
        raise PromptError(f"{at}: expected fps > 0, got {fps}")
    if times_s is None:
        return
    if len(times_s) != len(frames.pictures):
        told = f"{len(times_s)} for {len(frames.pictures)}"
        raise PromptError(f"{at}: expected a time for each picture, got {told}")
    bounds = [-math.ulp(0.0), *times_s, math.inf]
    if not all(one < other for one, other in pairwise(bounds)):
        raise PromptError(f"{at}: expected times_s that increase from 0 or later")


def _size_wh(pixels: Pixels) -> tuple[int, int]:
    if isinstance(pixels, Image.Image):
        return pixels.size
    return pixels.shape[1], pixels.shape[0]


def _squashed(rgb: U8, size_wh: tuple[int, int]) -> U8:
    if _size_wh(rgb) == size_wh:
        return rgb
    return to_rgb_array(resize_picture(Image.fromarray(rgb), size_wh))


def _rgb(pixels: Pixels) -> U8:
    if isinstance(pixels, Image.Image):
        return to_rgb_array(to_rgb(ImageOps.exif_transpose(pixels)))
    return pixels
