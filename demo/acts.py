"""What happens in front of the demo camera, and when: acts of the demo world, with pauses between.

The same seed gives the same play for ever; the truth is known before it happens. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from demo.scenes import BACKGROUNDS, MIN_CONTRAST, Colour, Kind, Motion, Scene, random_scene

ASPECT = 16 / 9
PAUSE_S = (4.0, 8.0)
ACT_S = (8.0, 14.0)


@dataclass(frozen=True, slots=True)
class Presence:
    """One thing can be seen from ``begin_s`` to ``end_s`` of the play."""

    kind: Kind
    colour: Colour
    motion: Motion
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Act:
    """A scene from ``begin_s`` to ``end_s`` of the play; a pause is one without things."""

    scene: Scene
    begin_s: float
    end_s: float

    def moment(self, time_s: float) -> float:
        """Where in the scene a time of the play lies, 0 to 1."""
        share = (time_s - self.begin_s) / (self.end_s - self.begin_s)
        return min(1.0, max(0.0, share))

    def presences(self) -> Iterator[Presence]:
        """When each of its things can be seen."""
        for thing in self.scene.things:
            for on, off in thing.on:
                begin, end = (self._time_s(min(1.0, max(0.0, u))) for u in (on, off))
                if end > begin:
                    yield Presence(thing.kind, thing.colour, thing.motion, begin, end)

    def _time_s(self, moment: float) -> float:
        return self.begin_s + moment * (self.end_s - self.begin_s)


def play(seed: int) -> Iterator[Act]:
    """Acts and pauses in turn, for ever, each beginning where the last one ends."""
    rng = Random(f"{seed} camera")
    background = rng.choice(BACKGROUNDS)
    end_s = 0.0
    while True:
        for scene, (least_s, most_s) in (
            (_empty(background), PAUSE_S),
            (_scene(rng, background), ACT_S),
        ):
            begin_s, end_s = end_s, end_s + rng.uniform(least_s, most_s)
            yield Act(scene, begin_s, end_s)


def _empty(background: tuple[int, int, int]) -> Scene:
    return Scene((), background, "plain", 0, ASPECT, 1.0)


def _scene(rng: Random, background: tuple[int, int, int]) -> Scene:
    """A scene with something in it, as wide as the camera, before the camera's own background."""
    while True:
        scene = random_scene(rng)
        is_wide = abs(scene.aspect / ASPECT - 1) < 0.06
        if is_wide and scene.things and _stands_out(scene, background):
            return replace(scene, background=background, background_style="plain", aspect=ASPECT)


def _stands_out(scene: Scene, background: tuple[int, int, int]) -> bool:
    return all(math.dist(thing.rgb, background) >= MIN_CONTRAST for thing in scene.things)
