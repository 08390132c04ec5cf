"""Places for those who watch."""

import pytest

from contracts.errors import TooManyViewers
from live.seats import Seats


def test_there_are_only_so_many_and_each_is_given_back() -> None:
    seats = Seats(1)
    with seats.one():
        assert not seats.take()
        with pytest.raises(TooManyViewers, match="VLM_MAX_VIEWERS"), seats.one():
            pass
    assert seats.take()
    seats.leave()
    assert seats.num_taken == 0
