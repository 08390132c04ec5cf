import numpy as np

from demo.clips import UNKNOWN, Table
from demo.scenes import COLOURS, KINDS, MOTIONS, Kind, Motion
from demo.summary import NUM_COUNTS, summarise


def _table(*things: tuple[Kind, int]) -> Table:
    """One frame in which the n-th colour is the n-th thing."""
    kind, motion = np.zeros((1, len(COLOURS)), np.int64), np.zeros((1, len(COLOURS)), np.int64)
    for column, (what, does) in enumerate(things):
        kind[0, column], motion[0, column] = 1 + KINDS.index(what), does
    return Table(kind, motion)


def _does(motion: Motion) -> int:
    return 1 + MOTIONS.index(motion)


def test_things_are_counted_by_kind_in_all_and_by_what_they_do() -> None:
    counts = summarise(
        _table(
            (Kind.CAR, _does(Motion.LEFT)),
            (Kind.CAR, _does(Motion.BLINKS)),
            (Kind.STAR, _does(Motion.UP)),
        )
    )[0]
    assert len(counts) == NUM_COUNTS
    assert counts[KINDS.index(Kind.CAR)] == 2
    assert counts[KINDS.index(Kind.STAR)] == 1
    assert counts[KINDS.index(Kind.FIRE)] == 0
    assert counts[len(KINDS)] == 3
    doing = counts[len(KINDS) + 1 :]
    assert doing[MOTIONS.index(Motion.LEFT)] == 1
    assert doing[MOTIONS.index(Motion.STANDS)] == 0
    assert doing[-1] == 2


def test_where_one_motion_cannot_be_said_none_are_counted() -> None:
    counts = summarise(_table((Kind.CAR, UNKNOWN), (Kind.STAR, _does(Motion.UP))))[0]
    assert counts[len(KINDS)] == 2
    assert (counts[len(KINDS) + 1 :] == UNKNOWN).all()
