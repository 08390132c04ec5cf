"""Pictures of any mode to RGB. Pure; opens no file, reads no metadata."""

import numpy as np
from PIL import Image

from contracts.media import U8


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode to RGB: 16 bits to 8, palette and CMYK converted, transparency over white."""
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bits(picture)
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def to_rgb_array(picture: Image.Image) -> U8:
    """The pixels of an RGB picture, contiguous, uint8, shape (H, W, 3)."""
    return np.ascontiguousarray(picture, dtype=np.uint8)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits to 8; Pillow's own conversion would cut everything above 255 to white."""
    grey = np.asarray(picture, dtype=np.float32) / 257
    return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
