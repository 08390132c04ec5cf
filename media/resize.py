"""Sizes of pictures: into a range of pixels, or squashed to what the model was trained on.

Pure but for Pillow's resampling.
"""

import math
from collections.abc import Callable

from PIL import Image

from contracts.media import PixelRange


def fit_size_wh(size_wh: tuple[int, int], pixels: PixelRange) -> tuple[int, int]:
    """The size whose area lies in the range, aspect kept; the size itself where it already does."""
    width, height = size_wh
    area = width * height
    if pixels.max_pixels is not None and area > pixels.max_pixels:
        return _scaled(size_wh, math.sqrt(pixels.max_pixels / area), math.floor)
    if pixels.min_pixels is not None and area < pixels.min_pixels:
        return _scaled(size_wh, math.sqrt(pixels.min_pixels / area), math.ceil)
    return width, height


def _scaled(
    size_wh: tuple[int, int], factor: float, whole: Callable[[float], int]
) -> tuple[int, int]:
    return max(1, whole(size_wh[0] * factor)), max(1, whole(size_wh[1] * factor))


def resize_picture(picture: Image.Image, size_wh: tuple[int, int]) -> Image.Image:
    """Resample to a size, bicubic and antialiased as the checkpoints were trained.

    Source: LLAVA.md 1.4.
    """
    if picture.size == size_wh:
        return picture
    return picture.resize(size_wh, Image.Resampling.BICUBIC)
