"""What a row may share with another is what spares most, and costs the others less."""

import torch

from llava_custom.shared_beginning import LEAST_SHARED, SharedBeginning, num_sharable


def of(num_tokens: int, num_rows: int) -> SharedBeginning:
    side = [torch.ones(2, num_tokens, 4)]
    return SharedBeginning(side, side, num_rows)


def test_rows_that_share_nothing_yet_share_all_they_can() -> None:
    assert num_sharable(None, 700) == 700


def test_a_beginning_is_shared_as_it_is_where_little_more_is_alike() -> None:
    assert num_sharable(of(600, 1), 600 + LEAST_SHARED - 1) == 600
    assert num_sharable(of(600, 1), 600 + LEAST_SHARED) == 600 + LEAST_SHARED


def test_two_rows_leave_others_where_they_have_most_of_it_for_themselves() -> None:
    assert num_sharable(of(600, 2), 1200) == 600
    assert num_sharable(of(600, 2), 1201) == 1201


def test_a_beginning_is_cut_where_that_spares_more_than_it_costs() -> None:
    assert num_sharable(of(610, 2), 600) == 600
    assert num_sharable(of(610, 80), 600) == 0
    assert num_sharable(of(1000, 2), 200) == 0


def test_a_cut_beginning_says_what_memory_it_keeps() -> None:
    whole = of(100, 1)
    cut = whole.shorter(50)
    assert (cut.num_tokens, cut.num_bytes) == (50, whole.num_bytes)
