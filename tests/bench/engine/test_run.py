"""No server can make the whole run long."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.engine.run import Plan, measure_server
from bench.engine.servers import Checkpoint, Server, servers

NOWHERE = Checkpoint(Path("nowhere"), Path("nowhere"))


@contextmanager
def start(checkpoint: Checkpoint, log: Path) -> Iterator[str]:
    yield "http://127.0.0.1:1"


def test_cases_beyond_the_budget_say_so(tmp_path: Path) -> None:
    slow = Server("slow", start, lambda checkpoint: "model")
    plan = Plan(budget_s=-1)
    rows = list(measure_server(slow, NOWHERE, plan, tmp_path))
    assert [row.case for row in rows] == plan.cases
    assert {row.cells[0] for row in rows} == {"the budget of -1 s was spent"}


def test_a_peer_that_is_not_installed_says_how_it_would_be(tmp_path: Path) -> None:
    _, *peers = servers(tmp_path / "peers")
    for peer in peers:
        (row, *_) = measure_server(peer, NOWHERE, Plan(), tmp_path)
        assert row.cells[0].startswith("not installed: python -m bench.peers install")


def test_a_server_that_is_not_there_is_a_row(tmp_path: Path) -> None:
    gone = Server("gone", start, lambda checkpoint: "model")
    rows = list(measure_server(gone, NOWHERE, Plan(seconds=0.1, drain_s=0.1), tmp_path))
    assert len(rows) == len(Plan().cases)
    assert all(row.load is None for row in rows)
