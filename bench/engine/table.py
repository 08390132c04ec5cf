"""What was measured as Markdown; knows nothing of how."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.engine.load import Load
from bench.engine.questions import Medium


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        medium: What is asked about.
        is_repeated: Whether it is always the same.
        num_clients: At a time.
    """

    medium: Medium
    is_repeated: bool
    num_clients: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{'repeated' if self.is_repeated else 'distinct'} {self.medium}s"


@dataclass(frozen=True, slots=True)
class Row:
    """One server in one case: what came of it, or why nothing did."""

    server: str
    case: Case
    load: Load | None = None
    problem: str = ""

    @property
    def per_s(self) -> float | None:
        """Answers per second."""
        if self.load is None or not self.load.seconds:
            return None
        return len(self.load.complete) / self.load.seconds

    @property
    def ttft_s(self) -> float | None:
        """Median seconds to the first text."""
        answers = self.load.complete if self.load else []
        return statistics.median(one.ttft_s for one in answers) if answers else None

    @property
    def cells(self) -> tuple[str, ...]:
        """Answers and tokens per second; first token and gaps, median and worst hundredth."""
        load = self.load
        if load is None or self.per_s is None:
            return (_one_line(self.problem or "no answer came"), *[""] * 5)
        firsts = [one.ttft_s for one in load.complete] + [math.inf] * load.num_cut
        gaps = [
            after - before
            for one in load.complete
            for before, after in zip(one.token_s, one.token_s[1:], strict=False)
        ]
        num_tokens = sum(len(one.token_s) for one in load.complete)
        return (
            f"{self.per_s:.2f}{_refused(load)}",
            f"{num_tokens / load.seconds:.0f}",
            *(_ms(quantile(firsts, part)) for part in (0.5, 0.99)),
            *(_ms(quantile(gaps, part)) for part in (0.5, 0.99)),
        )


COLUMNS = ("clients", "server", "requests/s", "tokens/s", "first token ms", "p99")
GAP_COLUMNS = ("between tokens ms", "p99")


def tables(rows: Sequence[Row]) -> str:
    """A table for each medium, distinct and repeated."""
    sections = []
    for name in dict.fromkeys(row.case.name for row in rows):
        ordered = sorted(
            (row for row in rows if row.case.name == name), key=lambda row: row.case.num_clients
        )
        lines = [(str(row.case.num_clients), row.server, *row.cells) for row in ordered]
        title = f"{name[:1].upper()}{name[1:]}:"
        sections.append(f"{title}\n\n{markdown((*COLUMNS, *GAP_COLUMNS), lines)}")
    return "\n\n".join(sections)


def goals(rows: Sequence[Row], ours: str) -> str:
    """Ours against each peer, and repeated media against distinct ones."""
    by_case = {(row.case, row.server): row for row in rows}
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        mine = by_case.get((case, ours))
        if mine is None or mine.per_s is None:
            continue
        peers = {row.server: row.per_s for row in rows if row.case == case and row is not mine}
        ratios = [f"{mine.per_s / rate:.1f} x {name}" for name, rate in peers.items() if rate]
        twin = by_case.get((Case(case.medium, False, case.num_clients), ours))
        if case.is_repeated and twin and twin.ttft_s and mine.ttft_s:
            ratios.append(f"first token {twin.ttft_s / mine.ttft_s:.1f} x sooner than distinct")
        if ratios:
            lines.append((case.name, str(case.num_clients), ", ".join(ratios)))
    return markdown(("case", "clients", f"{ours}'s requests/s"), lines)


def markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    head = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    return "\n".join([*head, *(f"| {' | '.join(cells)} |" for cells in lines)])


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which a part of them lies; not a number where there are none."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else math.nan


def _refused(load: Load) -> str:
    num_bad = len(load.answers) - len(load.complete)
    return f" ({num_bad} failed)" if num_bad else ""


def _ms(seconds: float) -> str:
    if math.isnan(seconds):
        return "-"
    return "not in time" if math.isinf(seconds) else f"{seconds * 1000:.3g}"


def _one_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].replace("|", "/")[:120]
