"""How often the demo model is right, by kind of question: ``python -m demo.report``.

Fresh scenes and wordings that training never saw go the whole way: an H.264 or picture file, an
upload, an answer. Two controls use the same questions: clips with their frames in random order,
and files that show the background only. ``--in-process`` measures without a service,
``--quantization nf4`` a service whose language model is in 4 bits.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from demo.answers import Question
from demo.judging import YES_NO_KINDS, is_right, row_of
from demo.serving import ask, served
from demo.world import Item, random_item, write_item

Answer = Callable[[Path, str], str]
HERE = Path(__file__).resolve().parent
COLUMNS = ("as filmed", "frames shuffled", "blank")
QUESTIONS_PER_FILE = 4


@dataclass(slots=True)
class Tally:
    """Right and all answers by row, and some of the wrong ones."""

    right: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Question, str]] = field(default_factory=list)

    def add(self, question: Question, answer: str) -> None:
        """Count one answer."""
        verdict = is_right(question, answer)
        for row in _rows(question):
            self.total[row] += 1
            self.right[row] += verdict
        if not verdict:
            self.wrong.append((question, answer))


def _rows(question: Question) -> Iterator[str]:
    yield row_of(question)
    if question.kind in YES_NO_KINDS:
        yield "all yes/no"
    yield "all"


def held_out_items(seed: str, num_questions: int) -> list[Item]:
    """Fresh files with questions in wordings that training never saw."""
    count = max(1, num_questions // QUESTIONS_PER_FILE)
    return [
        random_item(f"{seed}/{index}", num_questions=QUESTIONS_PER_FILE, split="held_out")
        for index in range(count)
    ]


def measure(items: Sequence[Item], column: str, answer: Answer, *, threads: int = 1) -> Tally:
    """Write every item's file in a column's way, ask its questions, and count."""
    tally = Tally()
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=sum(len(item.questions) for item in items), desc=column) as bar,
    ):
        for item in items:
            path = write_item(
                Path(folder), item, shuffle=column == COLUMNS[1], blank=column == COLUMNS[2]
            )
            texts = [question.text for question in item.questions]
            answers = pool.map(lambda text, path=path: answer(path, text), texts)
            for question, said in zip(item.questions, answers, strict=True):
                tally.add(question, said)
                bar.update()
            path.unlink()
    return tally


def table(tallies: dict[str, Tally]) -> str:
    """The shares as a Markdown table, one column per tally."""
    rows = sorted({row for tally in tallies.values() for row in tally.total}, key=_rank)
    lines = ["| question | " + " | ".join(tallies) + " |", "|---" * (len(tallies) + 1) + "|"]
    for row in rows:
        cells = [_cell(tally.right[row], tally.total[row]) for tally in tallies.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rank(row: str) -> tuple[bool, str]:
    return row.startswith("all"), row


def _cell(right: int, total: int) -> str:
    return f"{right / total:.1%} ({right}/{total})" if total else "-"


def write_report(path: Path, tallies: dict[str, Tally], how: str) -> None:
    """Write the table with how it was measured and what the model got wrong."""
    wrong = tallies[COLUMNS[0]].wrong[:12]
    shown = "\n".join(f"- {q.text!r}: {said!r}, truly {q.answer!r}" for q, said in wrong)
    text = (
        "# What the demo model gets right\n\n"
        f"{how} Questions are worded as training never saw them, on fresh scenes. Shuffled frames"
        " must lose direction, blank files must lose the rest; answers that say that nothing is"
        f" there stay right.\n\n{table(tallies)}\n\nSome of the wrong answers:\n\n{shown}\n"
    )
    path.write_text(text)


def in_process_answer(checkpoint: Path) -> Answer:
    """Answers of a checkpoint in this process; the latest file is encoded once."""
    from demo.answering import Answerer

    model = Answerer.load(checkpoint)
    latest: list[tuple[Path, object]] = []

    def answer(path: Path, question: str) -> str:
        if not latest or latest[-1][0] != path:
            latest[:] = [(path, model.look(path))]
        return model.answer(latest[-1][1], question)  # type: ignore[arg-type]

    return answer


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the demo model on held-out questions.")
    parser.add_argument("--url", help="of a running service; without it one is started")
    parser.add_argument("--count", type=int, default=1000, help="questions as filmed")
    parser.add_argument("--controls", type=int, default=400, help="questions in each control")
    parser.add_argument("--shuffle", action="store_true", help="only with frames shuffled")
    parser.add_argument("--blank", action="store_true", help="only with blank files")
    parser.add_argument("--seed", default="report", help="of the fresh scenes and questions")
    parser.add_argument("--in-process", action="store_true", help="no service, no upload")
    parser.add_argument("--model", type=Path, default=HERE / "model", help="for --in-process")
    parser.add_argument("--quantization", choices=("nf4", "int8"), help="of the service")
    parser.add_argument("--out", type=Path, help="default: report.md, report-nf4.md, ...")
    options = parser.parse_args()
    if options.quantization and (options.url or options.in_process):
        parser.error("--quantization is for the service that is started here")
    return options


def _columns(options: argparse.Namespace) -> tuple[str, ...]:
    only = [name for name, chosen in zip(COLUMNS[1:], (options.shuffle, options.blank), strict=True)
            if chosen]  # fmt: skip
    return tuple(only) or COLUMNS


def _measure_all(options: argparse.Namespace, answer: Answer, threads: int) -> dict[str, Tally]:
    tallies = {}
    for column in _columns(options):
        count = options.count if column == COLUMNS[0] else options.controls
        items = held_out_items(options.seed, count)
        tallies[column] = measure(items, column, answer, threads=threads)
    return tallies


def _measure_service(options: argparse.Namespace) -> tuple[dict[str, Tally], str]:
    """The tallies of a running service, or of one that is started for it, and how they came."""
    settings = {"VLM_QUANTIZATION": options.quantization} if options.quantization else {}
    with nullcontext(options.url) if options.url else served(settings) as url:
        tallies = _measure_all(options, partial(ask, url), 4)
    precision = f", its language model in {options.quantization}" if settings else ""
    return tallies, f"H.264 and picture files, uploaded to the service{precision}."


def main() -> None:
    """Measure, print the table, and write it where all three columns were measured."""
    options = _parse()
    if options.in_process:
        tallies = _measure_all(options, in_process_answer(options.model), 1)
        how = "Files, read and answered in one process."
    else:
        tallies, how = _measure_service(options)
    tqdm.write(table(tallies), file=None)
    if len(tallies) == len(COLUMNS):
        name = f"report-{options.quantization}.md" if options.quantization else "report.md"
        write_report(options.out or HERE / name, tallies, how)


if __name__ == "__main__":
    main()
