"""Pixels as JPEG data, for servers that take files. Thread-safe."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from contracts.media import U8

PREFIX = "data:image/jpeg;base64,"
CLIP_PREFIX = "data:video/jpeg;base64,"  # several, in order, separated by commas


@dataclass(frozen=True, slots=True)
class JpegEncoder:
    """Writes pictures.

    Attributes:
        quality: 1 to 100.
        max_side_px: Longest side of a clip's frame; still pictures keep their size.
    """

    quality: int
    max_side_px: int

    def picture(self, rgb: U8) -> str:
        """A still picture, uint8 (H, W, 3), as base64."""
        return self._base64(Image.fromarray(rgb))

    def frame(self, rgb: U8) -> str:
        """A frame of a clip, uint8 (H, W, 3), made smaller if it is too large, as base64."""
        image = Image.fromarray(rgb)
        image.thumbnail((self.max_side_px, self.max_side_px), Image.Resampling.BICUBIC)
        return self._base64(image)

    def _base64(self, image: Image.Image) -> str:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=self.quality, subsampling=0)  # thin coloured lines stay
        return base64.b64encode(file.getvalue()).decode("ascii")
