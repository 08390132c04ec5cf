"""Where a batch goes on, and files that it leaves alone."""

import json
import os
from pathlib import Path

import pytest

from contracts.settings import Settings
from runners.offline.batch_files import AnswerFile, BatchRefused, go_on
from runners.offline.batch_lines import InputLine
from runners.offline.batch_run import Batch, run

LINES = [InputLine(number, b"x", f"{number:032x}") for number in range(1, 5)]


def answer(line: InputLine, custom_id: str | None = None, status: int | None = 200) -> bytes:
    response = None if status is None else {"status_code": status}
    return (
        json.dumps({"id": line.id, "custom_id": custom_id, "response": response}).encode() + b"\n"
    )


ANSWERS = [answer(line) for line in LINES]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_it_goes_on_after_the_last_whole_line(path: Path) -> None:
    path.write_bytes(ANSWERS[0] + ANSWERS[1] + ANSWERS[2][:-1])
    with AnswerFile(path) as file:
        progress = go_on(LINES, [file])
        file.append(ANSWERS[2])
    assert (progress.num_lines, progress.num_done, progress.num_failed) == (4, 2, 0)
    assert path.read_bytes() == b"".join(ANSWERS[:3])


def test_two_files_are_one_batch(path: Path) -> None:
    errors = path.with_name("errors.jsonl")
    path.write_bytes(answer(LINES[0], "a") + answer(LINES[2], "b") + ANSWERS[3][:60])
    errors.write_bytes(answer(LINES[1], "c", status=400))
    with AnswerFile(path) as one, AnswerFile(errors) as other:
        progress = go_on(LINES, [one, other])
    assert (progress.num_done, progress.num_failed) == (3, 1)
    assert progress.custom_ids == {"a", "b", "c"}
    assert path.read_bytes() == answer(LINES[0], "a") + answer(LINES[2], "b")


def test_lines_may_be_added_to_the_input(path: Path) -> None:
    path.write_bytes(b"".join(ANSWERS[:2]) + answer(LINES[2], status=None))
    with AnswerFile(path) as file:
        assert go_on(LINES[:3], [file]).num_done == 3
        progress = go_on(LINES, [file])
    assert (progress.num_lines, progress.num_done, progress.num_failed) == (4, 3, 1)


@pytest.mark.parametrize(
    "found",
    [
        ANSWERS[1],
        ANSWERS[0] + ANSWERS[2],
        ANSWERS[0] * 2,
        ANSWERS[0] + answer(InputLine(9, b"", "f" * 32)),
        b"".join(ANSWERS) + ANSWERS[0][:9],
        ANSWERS[0] + b"my notes",
        b"my notes",
        b"my notes\n",
        b"[1]\n",
        b'{"id": 1}\n',
    ],
)
def test_files_that_do_not_fit_are_left_alone(path: Path, found: bytes) -> None:
    path.write_bytes(found)
    with AnswerFile(path) as file, pytest.raises(BatchRefused, match=r"out\.jsonl.*name "):
        go_on(LINES, [file])
    assert path.read_bytes() == found


def test_one_run_at_a_time_writes(path: Path) -> None:
    with AnswerFile(path), pytest.raises(BatchRefused, match="another run writes to it"):
        AnswerFile(path)
    with AnswerFile(path):
        pass


def test_only_files_are_written_to(path: Path) -> None:
    os.mkfifo(path)
    for place in (path, path.parent):
        with pytest.raises(BatchRefused, match="expected a file"):
            AnswerFile(place)


def test_the_files_must_differ(path: Path) -> None:
    inputs = path.with_name("in.jsonl")
    batch = Batch(inputs, path, None, 1, None)
    with pytest.raises(BatchRefused, match="there is no such file"):
        run(batch, Settings())
    inputs.write_text("one\n")
    path.symlink_to(inputs)
    with pytest.raises(BatchRefused, match="different files"):
        run(batch, Settings())
    assert inputs.read_text() == "one\n"
