"""Samples for the training of the language model: frames as the model sees them, and the truth.

A sample is a clip, an image in one of the two forms in which the service shows it, or nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import IterableDataset

from demo.answers import View
from demo.architecture import GRID, SIZE_PX
from demo.drawing import U8, Stage
from demo.files import Encoding, read_frames, write_video
from demo.prompts import time_sentence
from demo.scenes import COLOURS, KINDS, MOTIONS, MOVED, Scene, observe, random_scene
from demo.vision_data import Rect, coverage, damage, frame_size, letterbox, letterbox_rect, squash
from demo.wordings import Medium

UNKNOWN = -100
NUM_FRAMES = (8, 4, 6, 12, 16, 2, 3, 1)
SHARES = (70, 10, 5, 3, 2, 4, 3, 3)
FILMED_SHARE = 0.2  # of the clips go through a real encoder
FIRST_SHARES = (20, 25, 5, 0, 0, 25, 20, 5)  # motion is learnt from short clips first


@dataclass(frozen=True, slots=True)
class Table:
    """For every frame, what the clip has shown so far of every colour; 0 is nothing.

    ``kind`` and ``motion`` are int64 (F, 8), ``UNKNOWN`` where it cannot be said.
    """

    kind: npt.NDArray[np.int64]
    motion: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to ask about.

    ``rgb`` is uint8 (F, 96, 96, 3). ``rows`` is the span of patch rows and columns, (top, bottom,
    left, right), that an image's second frame keeps, None for clips and padded images.
    ``cells`` is int64 (F, 36): the colour that covers the cell, counted from 1.
    ``shift`` is float32 (F, 8, 2): how far each colour has come since the first frame.
    """

    rgb: U8
    view: View
    time_text: str
    rows: tuple[int, int, int, int] | None
    table: Table
    cells: npt.NDArray[np.int64]
    shift: npt.NDArray[np.float32]


def random_sample(rng: Random, *, short: bool = False) -> Sample:
    """Draw a sample: three clips for every two images, rarely nothing at all."""
    form = rng.choices(("video", "image", "padded", "none"), (66, 20, 7, 7))[0]
    if form == "video":
        return video_sample(rng, short=short)
    if form == "none":
        return no_sample(rng)
    return image_sample(rng, padded=form == "padded")


def video_sample(rng: Random, *, short: bool = False) -> Sample:
    """A clip, sampled at evenly spaced frames as the service does it."""
    num_frames = rng.choices(NUM_FRAMES, FIRST_SHARES if short else SHARES)[0]
    while True:
        scene = random_scene(rng)
        duration_s, times_s, moments = _sampled(rng, scene, num_frames)
        if not _is_doubtful(scene, moments):
            break
    size, stage_seed = frame_size(rng, scene.aspect), rng.random()
    stage = Stage(scene, size)
    raw = [stage.frame(u) for u in moments]
    if rng.random() < FILMED_SHARE:
        raw = filmed(rng, raw)
    frames = [squash(damage(Random(stage_seed), rgb)) for rgb in raw]
    text = time_sentence(duration_s, times_s) if rng.random() < 0.5 else ""
    return _sample(scene, moments, np.stack(frames), "video", text, None)


def filmed(rng: Random, frames: list[U8]) -> list[U8]:
    """The frames after H.264; sizes are cut down to even numbers."""
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    encoding = Encoding((width, height), Fraction(5), rng.randint(20, 34), "ultrafast")
    buffer = io.BytesIO()
    write_video(buffer, [np.ascontiguousarray(f[:height, :width]) for f in frames], encoding)
    buffer.seek(0)
    return read_frames(buffer, range(len(frames)))


def _sampled(rng: Random, scene: Scene, num_frames: int) -> tuple[float, list[float], list[float]]:
    """Duration, times and moments of the frames; sometimes of a part of the clip only."""
    fps = rng.choice((5.0, 8.0, 10.0, 12.0, 15.0, 24.0, 25.0, 29.97, 30.0))
    total = max(round(scene.duration_s * fps), num_frames, 2)
    first, last = 0, total - 1
    if rng.random() < 0.12:
        first = rng.randrange(total // 4 + 1)
        last = rng.randrange(first + (total - 1 - first) * 3 // 5, total)
    indices = np.linspace(first, last, num_frames).astype(int)
    times = [(i - first) / fps for i in indices]
    return (last - first + 1) / fps, times, [i / (total - 1) for i in indices]


def _is_doubtful(scene: Scene, moments: list[float]) -> bool:
    """Whether something moves by so little that no answer about it is plainly right."""
    for thing in scene.things:
        (x0, y0), (x1, y1) = thing.centre(moments[0]), thing.centre(moments[-1])
        if 0.0 < max(abs(x1 - x0), abs(y1 - y0)) < MOVED * 1.25:
            return True
    return False


def image_sample(rng: Random, *, padded: bool) -> Sample:
    """A still image: squashed and letterboxed, or as one of several, padded to a square."""
    scene = random_scene(rng, still=True)
    size = frame_size(rng, scene.aspect)
    image = damage(rng, Stage(scene, size).frame(0.0))
    if padded:
        rgb, rect = letterbox(image, 127)[None], letterbox_rect(size)
        return _sample(scene, [0.0], rgb, "image", "", None, rect)
    frames = np.stack([squash(image), letterbox(image, 0)])
    return _sample(scene, [0.0], frames, "image", "", kept_patches(size))


def kept_patches(size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the patches that are not all letterbox (LLAVA.md 1.6)."""
    width, height = size_wh
    if width > height:
        cut = (GRID - int(height * (GRID / width))) // 2
        return cut, GRID - cut, 0, GRID
    cut = (GRID - int(width * (GRID / height))) // 2
    return 0, GRID, cut, GRID - cut


def no_sample(rng: Random) -> Sample:
    """No media; the view only lends its things to the questions."""
    scene = random_scene(rng)
    while not scene.things:
        scene = random_scene(rng)
    return _sample(scene, [0.0], np.zeros((0, SIZE_PX, SIZE_PX, 3), np.uint8), "none", "", None)


def _sample(
    scene: Scene,
    moments: list[float],
    rgb: U8,
    medium: Medium,
    time_text: str,
    rows: tuple[int, int, int, int] | None,
    rect: Rect = (0, 0, SIZE_PX, SIZE_PX),
) -> Sample:
    view = View(tuple(observe(scene, moments)), medium)
    cells = np.stack([_cells(scene, u, rect) for u in moments])
    shift = np.stack([_shift(scene, moments[0], u) for u in moments])
    return Sample(rgb, view, time_text, rows, _table(scene, moments), cells, shift)


def _cells(scene: Scene, u: float, rect: Rect) -> npt.NDArray[np.int64]:
    """The colour that covers each pooled cell of a frame that lies in ``rect``: (36,)."""
    if not scene.things:
        return np.zeros(GRID * GRID // 4, np.int64)
    covered = coverage(scene, u, rect)
    halved = covered.reshape(-1, GRID // 2, 2, GRID // 2, 2).mean((2, 4)).reshape(len(covered), -1)
    colours = np.array([1 + COLOURS.index(t.colour) for t in scene.things])
    return np.where(halved.max(0) > 0.12, colours[halved.argmax(0)], 0)


def _shift(scene: Scene, since: float, u: float) -> npt.NDArray[np.float32]:
    shift = np.zeros((len(COLOURS), 2), np.float32)
    for thing in scene.things:
        (x0, y0), (x1, y1) = thing.centre(since), thing.centre(u)
        shift[COLOURS.index(thing.colour)] = x1 - x0, y1 - y0
    return shift


def _table(scene: Scene, moments: list[float]) -> Table:
    kind = np.zeros((len(moments), len(COLOURS)), np.int64)
    motion = np.zeros_like(kind)
    for last in range(len(moments)):
        for seen in observe(scene, moments[: last + 1]):
            column = COLOURS.index(seen.colour)
            kind[last, column] = 1 + KINDS.index(seen.kind)
            motion[last, column] = 1 + MOTIONS.index(seen.motion)
        for thing in scene.things:
            (x0, y0), (x1, y1) = thing.centre(moments[0]), thing.centre(moments[last])
            if 0.05 < max(abs(x1 - x0), abs(y1 - y0)) < MOVED * 1.25:
                motion[last, COLOURS.index(thing.colour)] = UNKNOWN
    return Table(kind, motion)


class Samples(IterableDataset[Sample]):
    """An endless supply of samples; the first ``num_short`` hold mostly short clips."""

    def __init__(self, seed: str, num_short: int) -> None:
        super().__init__()
        self._seed, self._num_short = seed, num_short

    def __iter__(self) -> Iterator[Sample]:
        worker = torch.utils.data.get_worker_info()
        rng = Random(f"{self._seed}/{worker.id if worker else 0}")
        index = 0
        while True:
            yield random_sample(rng, short=index < self._num_short)
            index += 1
