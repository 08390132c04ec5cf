"""A decoder process's work on pictures: open, check, turn upright, lay over white, resize.

Knows nothing of processes or HTTP. The number of pixels is taken from the header and checked before
anything is decoded; Pillow's own bomb guard is off, ours is exact.
"""

import io
import os
import struct
import zlib
from typing import BinaryIO

import numpy as np
from PIL import (  # the readers register themselves; without them Pillow imports every one it has
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from contracts.errors import MediaKind, ParseError, PictureTooLarge
from media.frame_sizer import FrameSizer
from media.jobs import (
    ClipAnswer,
    FrameListJob,
    ImageJob,
    PictureAnswer,
    PixelSink,
)
from media.resize import fit_size_wh, resize_picture
from media.rgb import to_rgb
from media.sniff import HEAD_BYTES

Image.preinit()
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False
EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise on damaged files; a list, because they were not written for strangers.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    AttributeError,
    struct.error,
    zlib.error,
)


def read_image(job: ImageJob, fd: int, sink: PixelSink) -> PictureAnswer:
    """Decode the picture behind a descriptor.

    Raises:
        ParseError: It is damaged.
        PictureTooLarge: Its header says more than ``job.max_pixels``.
    """
    with open(fd, "rb", closefd=False) as file:
        file.seek(0)
        picture = open_upright(file, job.image_format, job.max_pixels, "image")
    resized = resize_picture(picture, fit_size_wh(picture.size, job.pixels))
    sink.write_picture(resized)
    return PictureAnswer((resized.height, resized.width, 3), picture.width, picture.height)


def read_frame_list(job: FrameListJob, fd: int, sink: PixelSink) -> ClipAnswer:
    """Decode pictures that lie one after another in a file; all take the size of the first."""
    sizer = FrameSizer(job.size_wh, job.pixels)
    shape = (0, 0, 0)
    for offset, size, image_format in job.spans:
        file = io.BytesIO(os.pread(fd, size, offset))
        rgb = sizer(np.asarray(open_upright(file, image_format, job.max_pixels, "video")))
        sink.write(rgb)
        shape = (rgb.shape[0], rgb.shape[1], 3)
    width, height = sizer.source_wh or (0, 0)
    return ClipAnswer(shape, (0.0,) * len(job.spans), width, height, codec=job.spans[0][2])


def open_upright(
    file: BinaryIO, image_format: str, max_pixels: int, kind: MediaKind
) -> Image.Image:
    """The first picture of a file: RGB, upright, over white where it is transparent."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    _check_pixels(header_size_wh(head), max_pixels, kind)
    try:
        with Image.open(file, formats=(image_format.upper(),)) as picture:
            _check_pixels(picture.size, max_pixels, kind)
            picture.load()
            return to_rgb(_upright(picture))
    except DAMAGE:
        message = "the picture is damaged or cut short"
        raise ParseError(message, kind=kind) from None


def header_size_wh(head: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a PNG or WebP; ``None`` for anything else.

    Pillow decodes a WebP as it opens it, and reads a PNG up to its pixels.

    Source: RFC 9649, sections 2.5 to 2.7; PNG specification, 11.2.1.
    """
    if head.startswith(b"\x89PNG") and head[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", head.ljust(24, b"\0"), 16)
        return width, height
    if head[8:12] != b"WEBP" or len(head) < 30:
        return None
    chunk = head[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def _check_pixels(size_wh: tuple[int, int] | None, max_pixels: int, kind: MediaKind) -> None:
    if size_wh is not None and size_wh[0] * size_wh[1] > max_pixels:
        width, height = size_wh
        message = f"the picture is {width}x{height} pixels; expected at most {max_pixels} pixels"
        raise PictureTooLarge(message, kind=kind)


def _upright(picture: Image.Image) -> Image.Image:
    try:
        orientation = picture.getexif().get(EXIF_ORIENTATION)
    except DAMAGE:
        return picture  # damaged metadata is no reason to refuse a whole picture
    transpose = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return picture if transpose is None else picture.transpose(transpose)
