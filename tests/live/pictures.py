"""Pictures that carry a number which survives codecs, and videos made of them."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from contracts.media import U8

BITS = 16
DARK, LIGHT = 40, 210


def numbered(number: int, size_wh: tuple[int, int] = (128, 96)) -> U8:
    """A picture with its number as bars, the lowest bit on the right; the lower half moves."""
    width, height = size_wh
    bars = [LIGHT if number >> bit & 1 else DARK for bit in reversed(range(BITS))]
    row = np.repeat(np.array(bars, np.uint8), width // BITS)
    picture = np.full((height, width, 3), 120, np.uint8)
    picture[: height // 2, : len(row)] = row[None, :, None]
    picture[height // 2 :, (number * 5) % width :] = 150
    return picture


def number_of(rgb: U8) -> int:
    """The number that a picture carries, whatever its size is by now."""
    height, width, _ = rgb.shape
    bar = width // BITS
    means = [rgb[: height // 3, i * bar : (i + 1) * bar].mean() for i in range(BITS)]
    return sum(
        int(mean > 125) << bit for bit, mean in zip(reversed(range(BITS)), means, strict=True)
    )


def video(
    numbers: Sequence[int],
    *,
    target: Path | None = None,
    size_wh: tuple[int, int] = (128, 96),
    fps: int = 30,
    gop: int = 30,
    b_frames: int = 0,
    codec: str = "libx264",
    container: str = "mp4",
) -> bytes:
    """A video of numbered pictures; also written to ``target``, if given."""
    file = io.BytesIO()
    x264 = {"preset": "ultrafast", "sc_threshold": "0", "bf": str(b_frames)}
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(
            codec, rate=Fraction(fps), options=x264 if "264" in codec else {}
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        for number in numbers:
            frame = av.VideoFrame.from_ndarray(numbered(number, size_wh), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    if target is not None:
        target.write_bytes(file.getvalue())
    return file.getvalue()
