"""Numbers become the table's words."""

from bench.engine.load import Answer, Load
from bench.engine.table import Case, Row, goals, quantile, tables

DISTINCT = Case("picture", False, 4)
REPEATED = Case("picture", True, 4)


def load(seconds: float, *, ttft_s: float = 0.5, num_answers: int = 10, num_cut: int = 0) -> Load:
    answer = Answer(0.0, [ttft_s, ttft_s + 0.1, ttft_s + 0.2], seconds, 200)
    return Load((answer,) * num_answers, num_cut, 0.0)


def test_a_row_tells_rates_and_moments() -> None:
    row = Row("Lookout", DISTINCT, load(2.0))
    assert row.cells == ("5.00", "15", "500", "500", "100", "100")


def test_what_was_cut_counts_as_never_answered() -> None:
    row = Row("Lookout", DISTINCT, load(2.0, num_answers=1, num_cut=5))
    assert row.cells[2:4] == ("not in time", "not in time")


def test_failures_stand_beside_the_rate() -> None:
    refused = Load((*load(2.0).answers, Answer(0.0, status=429)), 0, 0.0)
    assert Row("Lookout", DISTINCT, refused).cells[0] == "5.00 (1 failed)"


def test_a_problem_is_a_row_of_one_line() -> None:
    row = Row("vLLM CPU", DISTINCT, problem="first\nnot | installed\n")
    assert row.cells[0] == "not / installed"
    assert "| 4 | vLLM CPU | not / installed |" in tables([row])


def test_rows_of_one_case_stand_together_by_clients() -> None:
    rows = [
        Row(server, Case("clip", False, num_clients), load(2.0))
        for server in ("Lookout", "vLLM CPU")
        for num_clients in (1, 16)
    ]
    lines = [line.split(" | ")[:2] for line in tables(rows).splitlines()[4:]]
    servers = [name for _, name in lines]
    assert servers == ["Lookout", "vLLM CPU", "Lookout", "vLLM CPU"]
    assert tables(rows).startswith("Distinct clips:")


def test_goals_compare_with_peers_and_with_distinct_media() -> None:
    rows = [
        Row("Lookout", DISTINCT, load(1.0)),
        Row("transformers serve", DISTINCT, load(5.0)),
        Row("vLLM CPU", DISTINCT, problem="not installed"),
        Row("Lookout", REPEATED, load(1.0, ttft_s=0.1)),
    ]
    text = goals(rows, "Lookout")
    assert "| distinct pictures | 4 | 5.0 x transformers serve |" in text
    assert "| repeated pictures | 4 | first token 5.0 x sooner than distinct |" in text


def test_quantiles_are_values_that_were_measured() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
