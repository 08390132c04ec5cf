"""The demo world as files: H.264 clips in MP4, and pictures, of any size and rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import BinaryIO

import av
import numpy as np
from PIL import Image

from demo.drawing import U8, Stage
from demo.scenes import Scene


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a clip is written: size in pixels (even), frames per second, quality 18 to 35."""

    size_wh: tuple[int, int]
    fps: Fraction
    crf: int = 23
    preset: str = "veryfast"


def random_encoding(rng: Random, aspect: float) -> Encoding:
    """Sizes and rates as phones, cameras and web pages have them, at the scene's aspect."""
    short = rng.choice((144, 240, 270, 360, 480, 720))
    size = (short * aspect, short) if aspect >= 1 else (short, short / aspect)
    width, height = (max(2, round(side / 2) * 2) for side in size)
    fps = rng.choice(
        (Fraction(10), Fraction(15), Fraction(25), Fraction(30), Fraction(30000, 1001))
    )
    return Encoding((width, height), fps, rng.choice((20, 23, 26, 30)))


def num_frames_of(scene: Scene, encoding: Encoding) -> int:
    """How many frames the scene's clip has at that rate."""
    return max(2, round(scene.duration_s * encoding.fps))


def clip_frames(scene: Scene, encoding: Encoding) -> Iterable[U8]:
    """The frames of a scene's clip in order: uint8 (H, W, 3), RGB."""
    stage = Stage(scene, encoding.size_wh)
    total = num_frames_of(scene, encoding)
    for index in range(total):
        yield stage.frame(index / (total - 1))


def write_video(target: Path | BinaryIO, frames: Iterable[U8], encoding: Encoding) -> None:
    """Encode frames as H.264 in MP4, 4:2:0."""
    file = str(target) if isinstance(target, Path) else target
    options = {"crf": str(encoding.crf), "preset": encoding.preset}
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=encoding.fps, options=options)
        stream.width, stream.height = encoding.size_wh
        stream.pix_fmt = "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


def write_clip(target: Path | BinaryIO, scene: Scene, encoding: Encoding) -> None:
    """Encode a whole scene."""
    write_video(target, clip_frames(scene, encoding), encoding)


def read_frames(source: Path | BinaryIO, indices: Sequence[int]) -> list[U8]:
    """Decode the frames of the given numbers, each uint8 (H, W, 3), RGB."""
    wanted = set(indices)
    found: dict[int, U8] = {}
    with av.open(str(source) if isinstance(source, Path) else source, "r") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                found[number] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return [found[index] for index in indices]


def write_image(path: Path, scene: Scene, size_wh: tuple[int, int], quality: int = 88) -> None:
    """Write a scene's first moment as PNG or JPEG, by the name's ending."""
    image = Image.fromarray(Stage(scene, size_wh).frame(0.0))
    if path.suffix == ".png":
        image.save(path)
    else:
        image.save(path, quality=quality)
