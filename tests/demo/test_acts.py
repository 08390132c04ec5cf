"""The play in front of the demo camera."""

from __future__ import annotations

import math
from itertools import islice, pairwise

from demo.acts import ACT_S, ASPECT, PAUSE_S, play
from demo.drawing import render
from demo.scenes import MIN_CONTRAST

ACTS = list(islice(play(7), 60))


def test_the_same_seed_gives_the_same_play() -> None:
    assert list(islice(play(7), 60)) == ACTS
    assert list(islice(play(8), 60)) != ACTS


def test_acts_and_pauses_follow_each_other_without_a_gap() -> None:
    assert ACTS[0].begin_s == 0
    assert all(one.end_s == following.begin_s for one, following in pairwise(ACTS))
    for index, act in enumerate(ACTS):
        least_s, most_s = ACT_S if index % 2 else PAUSE_S
        assert least_s <= act.end_s - act.begin_s <= most_s
        assert bool(act.scene.things) == bool(index % 2)


def test_the_camera_stands_still_and_everything_stands_out() -> None:
    assert len({act.scene.background for act in ACTS}) == 1
    assert {act.scene.aspect for act in ACTS} == {ASPECT}
    for act in ACTS:
        for thing in act.scene.things:
            assert math.dist(thing.rgb, act.scene.background) >= MIN_CONTRAST


def test_what_is_told_is_what_is_shown() -> None:
    background = ACTS[0].scene.background
    for act in ACTS[1:21:2]:
        for index in range(12):
            time_s = act.begin_s + (index + 0.5) / 12 * (act.end_s - act.begin_s)
            told = {
                presence.colour
                for presence in act.presences()
                if presence.begin_s <= time_s < presence.end_s
            }
            picture = render(act.scene, act.moment(time_s), (320, 180))
            for thing in act.scene.things:
                is_shown = bool((picture == thing.rgb).all(axis=2).sum() > 50)
                assert is_shown == (thing.colour in told), (thing, time_s)
            if not told:
                assert (picture == background).all()
