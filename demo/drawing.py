"""Pixels of the demo world: a scene at a moment, at any size and aspect ratio.

Thread-safe: the cached masks are never modified. Knows nothing of files, language or models.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from demo.scenes import Kind, Scene, Thing

U8 = npt.NDArray[np.uint8]
MASTER_PX = 384  # side of the master drawing of a kind


def render(scene: Scene, u: float, size_wh: tuple[int, int]) -> U8:
    """The frame at the moment ``u`` in [0, 1].

    Returns:
        uint8, shape (H, W, 3), RGB.
    """
    return Stage(scene, size_wh).frame(u)


class Stage:
    """One scene at one size; the background is drawn once for all its frames."""

    def __init__(self, scene: Scene, size_wh: tuple[int, int]) -> None:
        self._scene = scene
        self._factor = max(1, math.ceil(300 / min(size_wh)))
        width, height = size_wh
        self._background = _background(scene, (width * self._factor, height * self._factor))

    def frame(self, u: float) -> U8:
        """The frame at the moment ``u``: uint8, shape (H, W, 3), RGB."""
        canvas = self._background.copy()
        for thing in self._scene.things:
            if thing.is_visible(u):
                mask, corner = placed_mask(thing, u, canvas.size)
                canvas.paste(thing.rgb, corner, mask)
        return np.asarray(canvas.reduce(self._factor) if self._factor > 1 else canvas)


def placed_mask(
    thing: Thing, u: float, size_wh: tuple[int, int]
) -> tuple[Image.Image, tuple[int, int]]:
    """The 8-bit mask of a thing and where its upper left corner goes in a frame of that size."""
    width, height = size_wh
    side = max(2, round(thing.diameter * min(size_wh)))
    x, y = thing.centre(u)
    return mask_of(thing.kind, side, side), (
        round(x * width - side / 2),
        round(y * height - side / 2),
    )


@lru_cache(maxsize=4096)
def mask_of(kind: Kind, width: int, height: int) -> Image.Image:
    """A kind's 8-bit mask, smooth at its edges, squashed to the given size."""
    return master(kind).resize((width, height), Image.Resampling.BOX)


@cache
def master(kind: Kind) -> Image.Image:
    """A kind's large drawing, white on black, that the others are scaled from."""
    image = Image.new("L", (MASTER_PX, MASTER_PX))
    _DRAW[kind](ImageDraw.Draw(image))
    return image


def _points(*xy: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x * MASTER_PX, y * MASTER_PX) for x, y in xy]


def _box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
    return x0 * MASTER_PX, y0 * MASTER_PX, x1 * MASTER_PX, y1 * MASTER_PX


def _draw_circle(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(_box(0.01, 0.01, 0.99, 0.99), 255)


def _draw_square(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle(_box(0.06, 0.06, 0.94, 0.94), 255)


def _draw_triangle(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(_points((0.5, 0.02), (0.99, 0.96), (0.01, 0.96)), 255)


def _draw_star(draw: ImageDraw.ImageDraw) -> None:
    turns = [(math.pi * k / 5 - math.pi / 2, 0.51 if k % 2 == 0 else 0.22) for k in range(10)]
    draw.polygon(_points(*[(0.5 + r * math.cos(a), 0.53 + r * math.sin(a)) for a, r in turns]), 255)


def _draw_person(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(_box(0.36, 0.0, 0.64, 0.28), 255)
    draw.rounded_rectangle(_box(0.2, 0.31, 0.8, 0.45), 0.06 * MASTER_PX, 255)
    draw.rectangle(_box(0.34, 0.33, 0.66, 0.66), 255)
    draw.rectangle(_box(0.2, 0.38, 0.28, 0.66), 255)
    draw.rectangle(_box(0.72, 0.38, 0.8, 0.66), 255)
    draw.rectangle(_box(0.34, 0.64, 0.47, 1.0), 255)
    draw.rectangle(_box(0.53, 0.64, 0.66, 1.0), 255)


def _draw_car(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(_points((0.2, 0.47), (0.32, 0.22), (0.7, 0.22), (0.84, 0.47)), 255)
    draw.rounded_rectangle(_box(0.0, 0.44, 1.0, 0.7), 0.07 * MASTER_PX, 255)
    draw.polygon(_points((0.31, 0.45), (0.38, 0.29), (0.49, 0.29), (0.49, 0.45)), 0)
    draw.polygon(_points((0.55, 0.45), (0.55, 0.29), (0.66, 0.29), (0.74, 0.45)), 0)
    for x in (0.24, 0.76):
        draw.ellipse(_box(x - 0.15, 0.54, x + 0.15, 0.84), 0)
        draw.ellipse(_box(x - 0.12, 0.57, x + 0.12, 0.81), 255)


def _draw_fire(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(_box(0.14, 0.42, 0.86, 1.0), 255)
    draw.polygon(_points((0.14, 0.7), (0.2, 0.3), (0.36, 0.5), (0.52, 0.0), (0.66, 0.42)), 255)
    draw.polygon(_points((0.3, 0.6), (0.66, 0.42), (0.8, 0.26), (0.86, 0.72), (0.5, 0.9)), 255)
    draw.polygon(_points((0.5, 0.56), (0.64, 0.8), (0.5, 1.0), (0.36, 0.8)), 0)


_DRAW = {
    Kind.CIRCLE: _draw_circle,
    Kind.SQUARE: _draw_square,
    Kind.TRIANGLE: _draw_triangle,
    Kind.STAR: _draw_star,
    Kind.PERSON: _draw_person,
    Kind.CAR: _draw_car,
    Kind.FIRE: _draw_fire,
}


def _background(scene: Scene, size_wh: tuple[int, int]) -> Image.Image:
    plain = np.array(scene.background, np.float32)
    rng = np.random.default_rng(scene.background_seed)
    if scene.background_style == "plain":
        return Image.new("RGB", size_wh, scene.background)
    if scene.background_style == "gradient":
        cells = rng.uniform(-24, 24, (2, 2, 1))
    else:
        cells = rng.uniform(-9, 9, (9, 9, 1))
    small = np.clip(plain + cells, 0, 255).astype(np.uint8)
    return Image.fromarray(small).resize(size_wh, Image.Resampling.BICUBIC)
