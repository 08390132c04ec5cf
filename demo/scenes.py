"""Scenes of the demo world: what is in them, where, when, and how they come about.

A scene is a value: the same scene gives the same pixels and the same answers for ever.
Lengths are fractions of the short side of the picture, times are fractions of the clip.
Knows nothing of pixels, files, language or models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from random import Random

import numpy as np


class Kind(StrEnum):
    """What an object is."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    PERSON = "person"
    CAR = "car"
    FIRE = "fire"


class Colour(StrEnum):
    """What colour an object has; the order is that of every description."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    WHITE = "white"
    BLACK = "black"
    ORANGE = "orange"
    PURPLE = "purple"


class Motion(StrEnum):
    """What an object does in the course of a clip."""

    STANDS = "stands"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    APPEARS = "appears"
    DISAPPEARS = "disappears"
    BLINKS = "blinks"


KINDS = tuple(Kind)
COLOURS = tuple(Colour)
MOTIONS = tuple(Motion)
MOVES = (Motion.LEFT, Motion.RIGHT, Motion.UP, Motion.DOWN)

RGB: dict[Colour, tuple[int, int, int]] = {
    Colour.RED: (222, 38, 38),
    Colour.GREEN: (38, 168, 58),
    Colour.BLUE: (38, 78, 222),
    Colour.YELLOW: (242, 222, 40),
    Colour.WHITE: (248, 248, 248),
    Colour.BLACK: (14, 14, 14),
    Colour.ORANGE: (245, 140, 28),
    Colour.PURPLE: (150, 48, 190),
}
BACKGROUNDS: tuple[tuple[int, int, int], ...] = (
    (128, 128, 128),
    (48, 48, 52),
    (206, 206, 208),
    (200, 184, 146),
    (80, 132, 134),
    (104, 112, 140),
)
MIN_CONTRAST = 95.0  # Euclidean, in 8-bit RGB, between an object and its background
ASPECTS = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16)
MOVED = 0.1  # of the frame's side: what counts as having moved


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: its look and its course.

    ``start_xy`` and ``end_xy`` are centres in [0, 1] of the frame's width and height,
    ``diameter`` is a fraction of the frame's short side. ``on`` lists the [begin, end)
    spans of the clip in which it can be seen; the last may end beyond 1.
    """

    kind: Kind
    colour: Colour
    rgb: tuple[int, int, int]
    diameter: float
    start_xy: tuple[float, float]
    end_xy: tuple[float, float]
    motion: Motion
    on: tuple[tuple[float, float], ...] = ((0.0, 2.0),)

    def centre(self, u: float) -> tuple[float, float]:
        """Its centre at the moment ``u`` of the clip, both in [0, 1]."""
        (x0, y0), (x1, y1) = self.start_xy, self.end_xy
        return x0 + (x1 - x0) * u, y0 + (y1 - y0) * u

    def is_visible(self, u: float) -> bool:
        """Whether it can be seen at the moment ``u`` of the clip."""
        return any(begin <= u < end for begin, end in self.on)


@dataclass(frozen=True, slots=True)
class Scene:
    """A background with up to three things on it, every one of another colour."""

    things: tuple[Thing, ...]
    background: tuple[int, int, int]
    background_style: str  # plain, gradient or texture
    background_seed: int
    aspect: float  # width / height
    duration_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What sampled frames of a scene show of one thing."""

    kind: Kind
    colour: Colour
    motion: Motion


def observe(scene: Scene, moments: Sequence[float]) -> list[Seen]:
    """What can be told from the frames at ``moments``, in the order of the colours.

    A blink or an appearance that falls between the frames is not seen, so it is not told.
    """
    seen = []
    for thing in sorted(scene.things, key=lambda t: COLOURS.index(t.colour)):
        visible = [thing.is_visible(u) for u in moments]
        if any(visible):
            seen.append(Seen(thing.kind, thing.colour, _motion(thing, moments, visible)))
    return seen


def _motion(thing: Thing, moments: Sequence[float], visible: Sequence[bool]) -> Motion:
    changes = sum(a != b for a, b in pairwise(visible))
    if changes > 1:
        return Motion.BLINKS
    if changes == 1:
        return Motion.APPEARS if visible[-1] else Motion.DISAPPEARS
    (x0, y0), (x1, y1) = thing.centre(moments[0]), thing.centre(moments[-1])
    dx, dy = x1 - x0, y1 - y0
    if max(abs(dx), abs(dy)) < MOVED:
        return Motion.STANDS
    if abs(dx) >= abs(dy):
        return Motion.RIGHT if dx > 0 else Motion.LEFT
    return Motion.DOWN if dy > 0 else Motion.UP


def moments_of(num_frames: int) -> list[float]:
    """The moments, in [0, 1], of ``num_frames`` frames from the first to the last."""
    return [i / max(num_frames - 1, 1) for i in range(num_frames)]


def random_scene(rng: Random, *, still: bool = False, motions: Sequence[Motion] = ()) -> Scene:
    """Draw a scene; ``still`` ones hold no motion, ``motions`` limits what things may do."""
    count = rng.choices((0, 1, 2, 3), (4, 32, 36, 28))[0]
    background = _jitter(rng, rng.choice(BACKGROUNDS), 12)
    aspect = rng.choice(ASPECTS) * rng.uniform(0.95, 1.05)
    while True:
        things = _random_things(rng, count, background, aspect, still, motions)
        if not _overlap(things, aspect):
            break
    style = rng.choices(("plain", "gradient", "texture"), (5, 3, 2))[0]
    duration_s = rng.uniform(2.0, 8.0)
    return Scene(things, background, style, rng.randrange(1 << 30), aspect, duration_s)


def _random_things(
    rng: Random,
    count: int,
    background: tuple[int, int, int],
    aspect: float,
    still: bool,
    motions: Sequence[Motion],
) -> tuple[Thing, ...]:
    readable = [c for c in COLOURS if math.dist(RGB[c], background) >= MIN_CONTRAST]
    colours = rng.sample(readable, count)
    alone = still and count == 1 and rng.random() < 0.2
    return tuple(_random_thing(rng, c, aspect, still, motions, large=alone) for c in colours)


def _random_thing(
    rng: Random,
    colour: Colour,
    aspect: float,
    still: bool,
    motions: Sequence[Motion],
    *,
    large: bool,
) -> Thing:
    diameter = rng.uniform(0.4, 0.88) if large else rng.uniform(0.27, 0.4)
    motion = Motion.STANDS if still else _random_motion(rng, motions)
    half_x, half_y = diameter / 2 / max(aspect, 1.0), diameter / 2 * min(aspect, 1.0)
    start, end = _random_course(rng, motion, half_x + 0.01, half_y + 0.01)
    rgb = _jitter(rng, RGB[colour], 10)
    on = _random_spans(rng, motion)
    return Thing(rng.choice(KINDS), colour, rgb, diameter, start, end, motion, on)


def _random_motion(rng: Random, motions: Sequence[Motion]) -> Motion:
    if motions:
        return rng.choice(motions)
    group = rng.choices(("stands", "moves", "appears", "disappears", "blinks"), (32, 47, 7, 7, 7))
    return rng.choice(MOVES) if group[0] == "moves" else Motion(group[0])


def _random_course(
    rng: Random, motion: Motion, half_x: float, half_y: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    x, y = rng.uniform(half_x, 1 - half_x), rng.uniform(half_y, 1 - half_y)
    if motion in (Motion.LEFT, Motion.RIGHT):
        low, high = _random_span(rng, half_x)
        ends = (low, y), (high, y)
    elif motion in (Motion.UP, Motion.DOWN):
        low, high = _random_span(rng, half_y)
        ends = (x, low), (x, high)
    else:
        ends = (x, y), (x, y)
    return ends if motion in (Motion.RIGHT, Motion.DOWN) else (ends[1], ends[0])


def _random_span(rng: Random, half: float) -> tuple[float, float]:
    """The two ends of a move along one axis, at least a quarter of the frame apart."""
    room = 1 - 2 * half
    length = rng.uniform(0.25, max(min(room, 0.75), 0.26))
    low = half + rng.uniform(0.0, max(room - length, 0.0))
    return low, low + length


def _random_spans(rng: Random, motion: Motion) -> tuple[tuple[float, float], ...]:
    if motion is Motion.APPEARS:
        return ((rng.uniform(0.3, 0.7), 2.0),)
    if motion is Motion.DISAPPEARS:
        return ((-1.0, rng.uniform(0.3, 0.7)),)
    if motion is Motion.BLINKS:
        return _blinking(rng)
    return ((-1.0, 2.0),)


def _blinking(rng: Random) -> tuple[tuple[float, float], ...]:
    """Two or three spans of light, each span and each gap longer than a seventh of the clip."""
    cycles = rng.choice((2, 2, 3))
    period = 1.0 / (cycles - rng.uniform(0.0, 0.25))
    offset = rng.uniform(-0.5, 0.5) * period
    return tuple((offset + k * period, offset + (k + 0.5) * period) for k in range(-1, cycles + 1))


def _overlap(things: Sequence[Thing], aspect: float) -> bool:
    """Whether two things come too close, or one would leave the frame, at any moment."""
    wide, high = max(aspect, 1.0), max(1 / aspect, 1.0)  # the frame in short sides
    centres = np.array([[t.centre(u) for u in np.linspace(0, 1, 25)] for t in things])
    for i in range(len(things)):
        for j in range(i):
            gap = (centres[i] - centres[j]) * (wide, high)
            least = 0.56 * (things[i].diameter + things[j].diameter)
            if (np.hypot(gap[:, 0], gap[:, 1]) < least).any():
                return True
    return False


def _jitter(rng: Random, rgb: tuple[int, int, int], by: int) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, c + rng.randint(-by, by))) for c in rgb)
    return r, g, b
