"""Clips for the media benchmark: moving detail, and the frame's number in every picture.

The number is a bar code that survives codecs and scaling, so "exact" means the very frame asked
for.
"""

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
BITS = 20
BAND = 12  # a row of cells is 1/12 of the picture's height; the second row is the complement


@dataclass(frozen=True, slots=True)
class BenchClip:
    """One H.264 file, 1920x1080 at 30 frames a second."""

    name: str
    num_frames: int
    gop: int
    b_frames: int

    @property
    def file_name(self) -> str:
        """Its name on disk."""
        return f"{self.name}.mp4"


CLIPS = (
    BenchClip("1080p_60s_gop30", 1800, 30, 0),
    BenchClip("1080p_60s_gop60_b2", 1800, 60, 2),
    BenchClip("1080p_60s_gop250", 1800, 250, 0),
    BenchClip("1080p_10s_gop60_b2", 300, 60, 2),
)


def draw_number(rgb: U8, number: int) -> None:
    """Write a number over the top of a picture, in place.

    Args:
        rgb: uint8, shape (H, W, 3).
        number: Below 2**BITS.
    """
    height, width = rgb.shape[:2]
    cell = height // BAND
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        value = 235 if number >> (BITS - 1 - bit) & 1 else 16
        rgb[:cell, left:right] = value
        rgb[cell : 2 * cell, left:right] = 251 - value


def read_number(rgb: U8) -> int:
    """The number in a picture, or -1 where there is none."""
    height, width = rgb.shape[:2]
    rows = [int(height / BAND * at) for at in (0.5, 1.5)]
    columns = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    top, bottom = (rgb[row, columns, 1].astype(int) for row in rows)
    if (abs(top - bottom) < 40).any():
        return -1
    return int("".join("1" if above else "0" for above in top > bottom), 2)


def make_clip(clip: BenchClip, folder: Path) -> Path:
    """Encode a clip unless it is there; returns its path."""
    path = folder / clip.file_name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.codec_context.gop_size = clip.gop
        stream.codec_context.max_b_frames = clip.b_frames
        stream.options = {"preset": "veryfast", "crf": "23", "sc_threshold": "0"}
        texture = _texture(1080 * 2, 1920 * 2)
        for number in range(clip.num_frames):
            frame = av.VideoFrame.from_ndarray(_paint(texture, number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return partial.rename(path)


def _texture(height: int, width: int) -> U8:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8)
    fine = np.repeat(np.repeat(coarse, 24, 0), 24, 1)[:height, :width].astype(np.uint16)
    for axis in (0, 1):
        fine = sum((np.roll(fine, by, axis) for by in (5, 11, 17)), start=fine) // 4
    noisy = fine + rng.integers(0, 12, (height, width, 1), dtype=np.uint16)
    return noisy.clip(0, 255).astype(np.uint8)


def _paint(texture: U8, number: int) -> U8:
    """Pan over the texture, move a square, write the number."""
    height, width = texture.shape[0] // 2, texture.shape[1] // 2
    left = int((np.sin(number / 47) + 1) * width / 4)
    top = int((np.cos(number / 61) + 1) * height / 4)
    rgb = texture[top : top + height, left : left + width].copy()
    side = height // 5
    x, y = number * 7 % (width - side), height // 3 + number * 3 % (height - height // 3 - side)
    rgb[y : y + side, x : x + side] = (220, 40, 40) if number // 30 % 2 else (40, 40, 220)
    draw_number(rgb, number)
    return rgb


if __name__ == "__main__":
    for wanted in CLIPS:
        make_clip(wanted, Path(sys.argv[1]))
