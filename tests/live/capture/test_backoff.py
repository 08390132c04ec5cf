"""Waiting before another try."""

from itertools import islice
from random import Random

import pytest

from live.capture.backoff import back_off


@pytest.mark.parametrize("seed", range(5))
def test_waits_double_up_to_five_seconds_and_are_shortened_at_random(seed: int) -> None:
    waits = list(islice(back_off(Random(seed)), 200))
    for wait_s, longest_s in zip(waits, [0.5, 1, 2, 4, *[5] * 196], strict=True):
        assert 0.6 * longest_s <= wait_s <= 0.9 * longest_s
    assert len(set(waits)) == 200


def test_two_streams_do_not_knock_together() -> None:
    one, other = (list(islice(back_off(Random(seed)), 20)) for seed in (1, 2))
    assert not set(one) & set(other)
