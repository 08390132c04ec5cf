"""What counts as a change of the picture, and when a still one is judged all the same."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contracts.media import U8
from live.alerting.change_gate import ChangeGate, see
from tests.live.stage import PLAIN

SIZES = [(360, 640), (1080, 1920), (64, 64), (33, 50), (1, 1)]


def scene(height: int, width: int) -> U8:
    """Slopes of light, as on a wall."""
    rows, columns = np.mgrid[0:height, 0:width]
    light = 40 + 150 * (rows / height + columns / width) / 2
    return np.repeat(light.astype(np.uint8)[:, :, None], 3, axis=2)


def noisy(rgb: U8, sigma: float, seed: int) -> U8:
    noise = np.random.default_rng(seed).normal(0, sigma, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def with_square(rgb: U8, share: float, at: tuple[float, float] = (0.4, 0.6)) -> U8:
    """Something dark that is ``share`` of the picture's height."""
    height, width = rgb.shape[:2]
    side = max(1, round(share * height))
    top, left = round(at[0] * height), round(at[1] * width)
    changed = rgb.copy()
    changed[top : top + side, left : left + side] = 0
    return changed


@pytest.mark.parametrize("size", SIZES)
def test_the_same_picture_shows_the_same(size: tuple[int, int]) -> None:
    rgb = scene(*size)
    assert see([rgb, rgb]).shows_the_same(see([rgb]))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sigma", [2.0, 5.0, 8.0])
def test_the_noise_of_a_sensor_is_no_change(sigma: float, seed: int) -> None:
    rgb = scene(*SIZES[seed == 0])
    frames = [noisy(rgb, sigma, 10 * seed + index) for index in range(4)]
    assert see(frames[:2]).shows_the_same(see(frames[2:]))


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, 0.6), (0.9, 0.9), (0.511, 0.287)])
def test_something_that_is_a_twenty_fifth_of_the_height_is_a_change(
    place: tuple[float, float],
) -> None:
    rgb = scene(*SIZES[place == (0.0, 0.0)])
    changed = with_square(rgb, 0.04, place)
    assert not see([noisy(rgb, 5, 1)]).shows_the_same(see([noisy(changed, 5, 2)]))


@pytest.mark.parametrize("colour", [(200, 90, 90), (90, 200, 90), (90, 90, 200)])
def test_something_of_any_colour_is_a_change(colour: tuple[int, int, int]) -> None:
    rgb = np.full((360, 640, 3), 90, np.uint8)
    changed = rgb.copy()
    changed[100:120, 200:220] = colour
    assert not see([noisy(rgb, 5, 1)]).shows_the_same(see([noisy(changed, 5, 2)]))


@pytest.mark.parametrize(("levels", "expected"), [(3, True), (10, True), (20, False), (-20, False)])
def test_a_flicker_of_the_light_is_none_until_it_is_large(levels: int, expected: bool) -> None:
    rgb = scene(360, 640)
    other = (rgb.astype(int) + levels).clip(0, 255).astype(np.uint8)
    assert see([rgb]).shows_the_same(see([other])) == expected


def test_another_scene_is_a_change() -> None:
    rgb = scene(360, 640)
    assert not see([rgb]).shows_the_same(see([rgb[::-1].copy()]))


def test_a_clip_in_which_something_moved_is_never_the_same() -> None:
    rgb = scene(360, 640)
    moving = see([with_square(rgb, 0.1), rgb])
    still = see([rgb, rgb])
    assert not moving.is_still
    assert not still.shows_the_same(moving)
    assert not moving.shows_the_same(still)
    assert not moving.shows_the_same(moving)


def test_slow_drift_adds_up() -> None:
    """What was judged is compared, not what came last."""
    rgb = scene(360, 640)
    first = see([rgb])
    steps = [see([(rgb.astype(int) + level).clip(0, 255).astype(np.uint8)]) for level in range(40)]
    assert all(one.shows_the_same(other) for one, other in pairwise(steps))
    assert not first.shows_the_same(steps[-1])


def test_a_rule_is_skipped_only_on_what_it_was_judged_on() -> None:
    gate, still = ChangeGate(30), see([scene(36, 64)])
    other = see([with_square(scene(36, 64), 0.2)])
    assert not gate.may_skip(PLAIN, "door", still, 0)
    gate.judged(PLAIN, "door", still, 0)
    assert gate.may_skip(PLAIN, "door", still, 1)
    assert not gate.may_skip(PLAIN, "door", other, 1)
    assert not gate.may_skip(PLAIN, "yard", still, 1)
    assert not gate.may_skip(replace(PLAIN, id="r-2"), "door", still, 1)
    assert not gate.may_skip(replace(PLAIN, prompt="Is there fire?"), "door", still, 1)
    assert gate.may_skip(replace(PLAIN, cooldown_s=0), "door", still, 1)


@pytest.mark.parametrize(
    ("still_look_s", "after_s", "expected"),
    [(30, 29.9, True), (30, 30, False), (0, 0, False), (5, 4, True), (5, 6, False)],
)
def test_a_still_picture_is_judged_again_after_a_while(
    still_look_s: float, after_s: float, expected: bool
) -> None:
    gate, still = ChangeGate(still_look_s), see([scene(36, 64)])
    gate.judged(PLAIN, "door", still, 100)
    assert gate.may_skip(PLAIN, "door", still, 100 + after_s) == expected


def test_rules_and_streams_that_went_are_forgotten() -> None:
    gate, still = ChangeGate(30), see([scene(36, 64)])
    for stream_id in ("door", "yard"):
        gate.judged(PLAIN, stream_id, still, 0)
    gate.keep_only({(PLAIN.id, "yard")})
    assert not gate.may_skip(PLAIN, "door", still, 1)
    assert gate.may_skip(PLAIN, "yard", still, 1)
