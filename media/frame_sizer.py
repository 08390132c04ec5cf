"""One size for all frames of a clip. Pure but for Pillow's resampling."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from contracts.media import U8, PixelRange
from media.resize import fit_size_wh, resize_picture
from media.rgb import to_rgb_array


@dataclass(slots=True)
class FrameSizer:
    """Brings every frame of one clip to one size.

    ``size_wh`` squashes, after scaling into the range of pixels; without it the first frame's size
    in that range holds for all.
    """

    size_wh: tuple[int, int] | None
    pixels: PixelRange
    source_wh: tuple[int, int] | None = None

    def __call__(self, rgb: U8) -> U8:
        """Resize one upright frame.

        Args:
            rgb: uint8, shape (H, W, 3).

        Returns:
            uint8, contiguous, the same shape for every frame of the clip.
        """
        own_wh = (rgb.shape[1], rgb.shape[0])
        self.source_wh = self.source_wh or own_wh
        ranged_wh = fit_size_wh(own_wh if self.size_wh else self.source_wh, self.pixels)
        final_wh = self.size_wh or ranged_wh
        if own_wh == final_wh and ranged_wh == final_wh:
            return np.ascontiguousarray(rgb)
        picture = resize_picture(Image.fromarray(rgb), ranged_wh)
        return to_rgb_array(resize_picture(picture, final_wh))
