"""The output of a batch: files of whole lines in the input's order, and where a run goes on.

Every state that a killed run can leave is a beginning of what a whole run writes, the last line
perhaps torn. So a run goes on by cutting that off and answering what has no answer yet.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runners.offline.batch_lines import InputLine


class BatchRefused(ValueError):
    """The files do not go together; nothing was changed, and the message says what to do."""


@dataclass(frozen=True, slots=True)
class DoneLine:
    """What a line of an output file says."""

    id: str
    custom_id: str | None
    is_failed: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch has come; ``custom_ids`` are those of the lines that are done."""

    num_lines: int
    num_done: int
    num_failed: int
    custom_ids: frozenset[str]


class AnswerFile:
    """An output file; one process holds it at a time. A context manager.

    Raises:
        BatchRefused: It is no file, or another run writes to it.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise BatchRefused(f"{path}: expected a file, or a name that is free")
        self.path = path
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise BatchRefused(f"{path}: another run writes to it; wait for its end") from None

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def done_lines(self) -> Iterator[DoneLine]:
        """The whole lines.

        Raises:
            BatchRefused: One was not written by a batch.
        """
        for number, line in enumerate(self._lines(), 1):
            if line.endswith(b"\n"):
                yield self._parsed(line, number)

    def torn_line(self) -> bytes:
        """What stands behind the last whole line."""
        last = b""
        for line in self._lines():
            last = line
        return b"" if last.endswith(b"\n") else last

    def cut(self, num_bytes: int) -> None:
        """Remove so many bytes from the end."""
        self._file.truncate(os.fstat(self._file.fileno()).st_size - num_bytes)

    def append(self, line: bytes) -> None:
        """Write a line, onto the disk."""
        left = memoryview(line)
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from file

    def _parsed(self, line: bytes, number: int) -> DoneLine:
        with suppress(ValueError, LookupError, TypeError):
            value = json.loads(line)
            response = value["response"]
            is_failed = response is None or response["status_code"] != 200
            return DoneLine(value["id"], value["custom_id"], is_failed)
        raise BatchRefused(
            f"{self.path}: line {number} is no answer of a batch; name another output file"
        )


def go_on(lines: Iterable[InputLine], files: Sequence[AnswerFile]) -> Progress:
    """Find out what is done, and cut off a torn line.

    Raises:
        BatchRefused: The files answer another input, or by another model or settings.
    """
    done = [one for file in files for one in file.done_lines()]
    ids = {one.id for one in done}
    num_lines, num_done, next_id = 0, 0, None
    for line in lines:
        num_lines += 1
        if num_done == num_lines - 1 and line.id in ids:
            num_done += 1
        elif next_id is None:
            next_id = line.id
    torn = [file.torn_line() for file in files]
    head = b"" if next_id is None else f'{{"id": "{next_id}"'.encode()
    if num_done != len(done) or not all(_may_become(head, begun) for begun in torn):
        raise BatchRefused(
            f"{' and '.join(str(file.path) for file in files)}: expected answers to this input, by "
            "this model with these settings and in these files; name other output files, or remove "
            "these to begin anew"
        )
    for file, begun in zip(files, torn, strict=True):
        if begun:
            file.cut(len(begun))
    return Progress(
        num_lines,
        num_done,
        sum(one.is_failed for one in done),
        frozenset(one.custom_id for one in done if one.custom_id is not None),
    )


def _may_become(head: bytes, torn: bytes) -> bool:
    """Whether a torn line may have begun like this: it is not somebody's file that is cut."""
    return not torn or (bool(head) and (torn.startswith(head) or head.startswith(torn)))
