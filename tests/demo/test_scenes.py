from __future__ import annotations

from random import Random

import pytest

from demo.scenes import (
    COLOURS,
    MIN_CONTRAST,
    MOVES,
    RGB,
    Colour,
    Kind,
    Motion,
    Scene,
    Thing,
    moments_of,
    observe,
    random_scene,
)


def scene_of(*things: Thing) -> Scene:
    return Scene(things, (128, 128, 128), "plain", 0, 1.5, 4.0)


def thing(motion: Motion = Motion.STANDS, **course: object) -> Thing:
    values: dict[str, object] = {"start_xy": (0.2, 0.5), "end_xy": (0.2, 0.5), **course}
    return Thing(Kind.STAR, Colour.RED, RGB[Colour.RED], 0.3, motion=motion, **values)  # type: ignore[arg-type]


def test_a_seed_draws_the_same_scene_for_ever() -> None:
    assert [random_scene(Random(7)) for _ in range(2)] == [random_scene(Random(7))] * 2
    assert random_scene(Random(7)) != random_scene(Random(8))


def test_things_in_a_scene_differ_in_colour_and_stand_out() -> None:
    rng = Random(3)
    for _ in range(200):
        scene = random_scene(rng)
        colours = [one.colour for one in scene.things]
        assert len(set(colours)) == len(colours)
        for colour in colours:
            apart = sum((a - b) ** 2 for a, b in zip(RGB[colour], scene.background, strict=True))
            assert apart**0.5 >= MIN_CONTRAST


def test_things_stay_in_the_frame_and_do_as_they_are_told() -> None:
    rng = Random(4)
    for _ in range(200):
        for one in random_scene(rng).things:
            for u in moments_of(9):
                assert all(0.0 < place < 1.0 for place in one.centre(u))
            if one.motion in MOVES:
                (x0, y0), (x1, y1) = one.start_xy, one.end_xy
                assert max(abs(x1 - x0), abs(y1 - y0)) >= 0.24


def test_what_is_seen_matches_what_is_meant_in_eight_frames() -> None:
    rng = Random(5)
    for _ in range(300):
        scene = random_scene(rng)
        seen = {one.colour: one.motion for one in observe(scene, moments_of(8))}
        assert seen == {one.colour: one.motion for one in scene.things}


def test_what_is_seen_comes_in_the_order_of_the_colours() -> None:
    rng = Random(6)
    for _ in range(50):
        seen = observe(random_scene(rng), moments_of(8))
        places = [COLOURS.index(one.colour) for one in seen]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("end", "motion"),
    [
        ((0.8, 0.5), Motion.RIGHT),
        ((0.2, 0.9), Motion.DOWN),
        ((0.2, 0.1), Motion.UP),
        ((0.22, 0.5), Motion.STANDS),
    ],
)
def test_a_direction_is_told_from_the_first_and_the_last_frame(
    end: tuple[float, float], motion: Motion
) -> None:
    moved = thing(Motion.RIGHT, end_xy=end)
    assert observe(scene_of(moved), [0.0, 1.0])[0].motion is motion
    back = observe(scene_of(moved), [1.0, 0.0])[0].motion
    assert (back is motion) == (motion is Motion.STANDS)


def test_an_appearance_between_no_two_frames_is_not_told() -> None:
    late = thing(Motion.APPEARS, on=((0.5, 2.0),))
    assert observe(scene_of(late), [0.6, 1.0])[0].motion is Motion.STANDS
    assert observe(scene_of(late), [0.0, 0.4]) == []
    assert observe(scene_of(late), [0.0, 1.0])[0].motion is Motion.APPEARS
