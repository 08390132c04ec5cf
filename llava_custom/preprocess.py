"""Pictures to pixel values: squash, pad, cut into tiles, normalise. On CPU, with Pillow.

Source: LLAVA.md 1.4 and 1.6; llava/mm_utils.py and the SigLIP processor of LLaVA-NeXT @ df179663.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from contracts.media import U8
from llava_custom.prompt import Visual
from llava_custom.tiling import Tiling
from llava_custom.views import View

PAD_GREY = 127  # int(0.5 * 255), the mean the original pads with


def crop_views(visual: Visual) -> list[View]:
    """What a tower that takes squares sees of one visual, in order; pictures of any size.

    A clip gives its frames; an image itself, squared with grey if it is padded, then its tiles,
    which are cut when the first of them is wanted.
    """
    return [
        view
        for rgb, digest in zip(visual.pictures, visual.digests, strict=True)
        for view in _views_of(rgb, digest, visual)
    ]


def _views_of(rgb: U8, digest: bytes, visual: Visual) -> Iterator[View]:
    tiling, is_padded = visual.tiling, visual.is_padded

    def whole() -> Image.Image:
        picture = Image.fromarray(rgb)
        return pad_to_square(picture) if is_padded else picture

    yield View((digest, visual.kind, is_padded), visual.kind, whole)
    if tiling is None:
        return
    tiles = cache(lambda: list(cut_tiles(Image.fromarray(rgb), tiling)))
    for index in range(math.prod(tiling.grid_wh)):
        yield View((digest, tiling, index), visual.kind, partial(_tile, tiles, index))


def _tile(tiles: Callable[[], list[Image.Image]], index: int) -> Image.Image:
    return tiles()[index]


def pad_to_square(picture: Image.Image) -> Image.Image:
    """The picture centred on a grey square."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), (PAD_GREY, PAD_GREY, PAD_GREY))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def cut_tiles(picture: Image.Image, tiling: Tiling) -> Iterator[Image.Image]:
    """The picture fitted on a black canvas, cut into tiles row by row."""
    (width, height), (canvas_w, canvas_h) = tiling.fitted_wh, tiling.canvas_wh
    canvas = Image.new("RGB", tiling.canvas_wh)
    fitted = picture.resize((width, height), Image.Resampling.BICUBIC)
    canvas.paste(fitted, ((canvas_w - width) // 2, (canvas_h - height) // 2))
    step = tiling.tile_px
    for top in range(0, canvas_h, step):
        for left in range(0, canvas_w, step):
            yield canvas.crop((left, top, left + step, top + step))


def to_pixel_values(pictures: Sequence[Image.Image], *, size_px: int) -> Tensor:
    """Squash pictures to the vision tower's square and normalise them.

    Args:
        pictures: RGB pictures of any size; one of the right size keeps its pixels.
        size_px: Side of the square the tower was trained on.

    Returns:
        float32, shape (I, 3, size_px, size_px), in [-1, 1], on CPU.
    """
    pixels = torch.from_numpy(np.stack([_squash(picture, size_px) for picture in pictures]))
    scaled = (
        pixels.permute(0, 3, 1, 2).float() / 255.0 - 0.5
    ) / 0.5  # (I, H, W, 3) -> (I, 3, H, W)
    return scaled.contiguous()


def _squash(picture: Image.Image, size_px: int) -> U8:
    return np.asarray(picture.resize((size_px, size_px), Image.Resampling.BICUBIC))
