"""A short run of the benchmark takes the way of the real one."""

import asyncio

from bench.caches import measure, table


def test_every_way_to_ask_is_a_row() -> None:
    taken = asyncio.run(measure("", num_rounds=1, num_frames=2))
    rows = table(taken).splitlines()
    assert len(rows) == 2 + len(taken)
    assert rows[2].startswith("| first token: a new clip | ")
    assert rows[2].endswith(" | 1.00 |")
    assert all(len(moments) == 1 for moments in taken.values())
