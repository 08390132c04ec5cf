"""Pictures for the training of the vision tower: what a frame is, patch by patch.

Frames are damaged the way cameras and encoders damage them, and fitted into the tower's square
in the three ways the service does: squashed, letterboxed in black, padded in grey.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor
from torch.utils.data import IterableDataset

from demo.architecture import GRID, PATCH_PX, SIZE_PX
from demo.drawing import U8, Stage, mask_of
from demo.scenes import COLOURS, KINDS, Scene, random_scene

IGNORE = -100
Rect = tuple[int, int, int, int]  # x, y, width, height within the tower's square, in pixels


@dataclass(frozen=True, slots=True)
class CellLabels:
    """What covers every cell of an n x n grid: 0 is background, objects count from 1.

    ``colour`` and ``kind`` are int64 (n * n), ``centre`` is float32 (n * n, 2) in [0, 1].
    """

    colour: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    centre: npt.NDArray[np.float32]


def frame_size(rng: Random, aspect: float) -> tuple[int, int]:
    """A random size (width, height) of a source frame of that aspect ratio."""
    short = round(math.exp(rng.uniform(math.log(72), math.log(240))))
    return (round(short * aspect), short) if aspect >= 1 else (short, round(short / aspect))


def damage(rng: Random, rgb: U8) -> Image.Image:
    """What a camera, an encoder and a few resizes do to a picture; often nothing."""
    image = Image.fromarray(rgb)
    if rng.random() < 0.4:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.15))
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.85, 1.15))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8) * min(image.size) / 96))
    if rng.random() < 0.2:
        noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 5, rgb.shape)
        image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        image = recompress(image, rng.randint(25, 95))
    return image


def recompress(image: Image.Image, quality: int) -> Image.Image:
    """The picture after a lossy encoder with half the colour resolution."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=2)
    return Image.open(buffer).convert("RGB")


def squash(image: Image.Image) -> U8:
    """The picture scaled to the tower's square without regard to its aspect: (96, 96, 3)."""
    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))


def letterbox_rect(size_wh: tuple[int, int]) -> Rect:
    """Where a picture lies in the square when it keeps its aspect ratio."""
    scale = SIZE_PX / max(size_wh)
    width, height = (min(SIZE_PX, math.ceil(side * scale)) for side in size_wh)
    return (SIZE_PX - width) // 2, (SIZE_PX - height) // 2, width, height


def letterbox(image: Image.Image, fill: int) -> U8:
    """The picture at its own aspect ratio, centred on a square of one grey: (96, 96, 3)."""
    x, y, width, height = letterbox_rect(image.size)
    canvas = Image.new("RGB", (SIZE_PX, SIZE_PX), (fill, fill, fill))
    canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), (x, y))
    return np.asarray(canvas)


def coverage(scene: Scene, u: float, rect: Rect) -> npt.NDArray[np.float32]:
    """How much of every patch each thing covers: float32 (things, 12, 12) in [0, 1]."""
    x0, y0, width, height = rect
    covered = np.zeros((len(scene.things), GRID, GRID), np.float32)
    for index, thing in enumerate(scene.things):
        if not thing.is_visible(u):
            continue
        side = thing.diameter * min(scene.aspect, 1.0)  # of the height
        size = (max(1, round(side / scene.aspect * width)), max(1, round(side * height)))
        x, y = thing.centre(u)
        corner = round(x0 + x * width - size[0] / 2), round(y0 + y * height - size[1] / 2)
        canvas = Image.new("L", (SIZE_PX, SIZE_PX))
        canvas.paste(mask_of(thing.kind, *size), corner)
        blocks = np.asarray(canvas, np.float32).reshape(GRID, PATCH_PX, GRID, PATCH_PX)
        covered[index] = blocks.mean((1, 3)) / 255
    return covered


def label_cells(
    scene: Scene, u: float, rect: Rect, covered: npt.NDArray[np.float32], least: float
) -> CellLabels:
    """Name the thing that covers most of each cell; cells that are barely touched are ignored."""
    cells = covered.shape[1] ** 2
    centre = np.zeros((cells, 2), np.float32)
    if not scene.things:
        return CellLabels(np.zeros(cells, np.int64), np.zeros(cells, np.int64), centre)
    x0, y0, width, height = rect
    flat = covered.reshape(len(scene.things), cells)
    most, best = flat.max(0), flat.argmax(0)
    middles = [
        ((x0 + x * width) / SIZE_PX, (y0 + y * height) / SIZE_PX)
        for x, y in (t.centre(u) for t in scene.things)
    ]
    colour = np.array([1 + COLOURS.index(t.colour) for t in scene.things])[best]
    kind = np.array([1 + KINDS.index(t.kind) for t in scene.things])[best]
    centre = np.array(middles, np.float32)[best]
    for labels in (colour, kind):
        labels[most < least] = IGNORE
        labels[most < least / 3] = 0
    return CellLabels(colour, kind, centre)


@dataclass(frozen=True, slots=True)
class VisionBatch:
    """Frames and what they show; ``patches`` and ``cells`` are (colour, kind, centre) tensors."""

    rgb: Tensor  # uint8 (B, 96, 96, 3)
    patches: tuple[Tensor, Tensor, Tensor]  # (B, 144), (B, 144), (B, 144, 2)
    cells: tuple[Tensor, Tensor, Tensor]  # (B, 36), (B, 36), (B, 36, 2)


def fitted_frame(rng: Random, scene: Scene, u: float) -> tuple[U8, Rect]:
    """A damaged frame in the tower's square, and where in it the picture lies."""
    size = frame_size(rng, scene.aspect)
    image = damage(rng, Stage(scene, size).frame(u))
    how = rng.choices(("squash", "letterbox", "pad"), (80, 12, 8))[0]
    if how == "squash":
        return squash(image), (0, 0, SIZE_PX, SIZE_PX)
    return letterbox(image, 0 if how == "letterbox" else 127), letterbox_rect(size)


def vision_batch(rng: Random, batch_size: int) -> VisionBatch:
    """Draw a batch of single frames from as many scenes."""
    frames, patches, cells = [], [], []
    for _ in range(batch_size):
        scene = random_scene(rng, still=rng.random() < 0.35)
        u = rng.random()
        rgb, rect = fitted_frame(rng, scene, u)
        covered = coverage(scene, u, rect)
        halved = covered.reshape(-1, GRID // 2, 2, GRID // 2, 2).mean((2, 4))
        frames.append(torch.from_numpy(rgb.copy()))
        patches.append(label_cells(scene, u, rect, covered, 0.2))
        cells.append(label_cells(scene, u, rect, halved, 0.08))
    return VisionBatch(torch.stack(frames), _stack(patches), _stack(cells))


def _stack(labels: list[CellLabels]) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(np.stack([label.colour for label in labels])),
        torch.from_numpy(np.stack([label.kind for label in labels])),
        torch.from_numpy(np.stack([label.centre for label in labels])),
    )


class VisionBatches(IterableDataset[VisionBatch]):
    """An endless supply of batches; every worker draws its own."""

    def __init__(self, seed: int, batch_size: int) -> None:
        super().__init__()
        self._seed, self._batch_size = seed, batch_size

    def __iter__(self) -> Iterator[VisionBatch]:
        worker = torch.utils.data.get_worker_info()
        rng = Random(f"{self._seed}/{worker.id if worker else 0}")
        while True:
            yield vision_batch(rng, self._batch_size)
