"""The input of a batch, line by line: what is asked, or what is wrong with the line.

The format is OpenAI's: ``{"custom_id", "method": "POST", "url": "/v1/chat/completions", "body"}``.
A line that cannot be a request is a ``LineFault``, never the end of the batch.

Source: OpenAI API reference, "The request input object" of the Batch API.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Literal

from api.json_text import parse_json
from contracts.errors import InvalidJson

URL = "/v1/chat/completions"
KEYS = ("custom_id", "method", "url", "body")
DIGEST_CHARS = 32
SEED_CHARS = 15  # hexadecimal digits that an int64 holds

FaultCode = Literal[
    "invalid_json_line",
    "invalid_request",
    "duplicate_custom_id",
    "invalid_method",
    "invalid_url",
    "request_too_large",
]


@dataclass(frozen=True, slots=True)
class InputLine:
    """One line that is not blank.

    Attributes:
        number: Its place in the file, from 1.
        text: Without the line's end; empty when the line is longer than may be.
        digest: Of the text, its place among such lines, and who answers; ids are made of it.
        is_too_long: Whether the text was not kept.
    """

    number: int
    text: bytes
    digest: str
    is_too_long: bool = False

    @property
    def id(self) -> str:
        """The answer's id, the same in every run."""
        return f"batch_req_{self.digest}"

    @property
    def seed(self) -> int:
        """For a request that names none, so that every run draws the same tokens."""
        return int(self.digest[:SEED_CHARS], 16)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a line asks; ``unused`` names keys that mean nothing here."""

    custom_id: str
    body: object
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line is no request."""

    code: FaultCode
    message: str
    custom_id: str | None = None


def input_lines(path: Path, *, answerer: str, max_bytes: int) -> Iterator[InputLine]:
    """The lines of a file that are not blank.

    Args:
        path: The file.
        answerer: Names the model and what shapes its answers; goes into every digest.
        max_bytes: A longer line is not kept.
    """
    place = 0
    with path.open("rb") as file:
        for number in count(1):
            text = file.readline(max_bytes + 1)
            if not text:
                return
            if not text.strip():
                continue
            digest = hashlib.sha256(f"{answerer}\n{place}\n".encode())
            place += 1
            digest.update(text.strip())
            is_too_long = len(text) > max_bytes and not text.endswith(b"\n")
            if is_too_long:
                _skip_rest(file, max_bytes)
            kept = b"" if is_too_long else text.strip()
            yield InputLine(number, kept, digest.hexdigest()[:DIGEST_CHARS], is_too_long)


def read_line(line: InputLine, seen: set[str]) -> BatchRequest | LineFault:
    """What a line asks.

    Args:
        line: The next line.
        seen: The ``custom_id`` of all lines before it; its own is added.
    """
    at = f"line {line.number}"
    if line.is_too_long:
        return LineFault("request_too_large", f"{at}: expected at most VLM_MAX_JSON_MB")
    try:
        value = parse_json(line.text, param=at)
    except InvalidJson as exc:
        return LineFault("invalid_json_line", exc.message)
    custom_id = value.get("custom_id") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(custom_id, str) or not custom_id:
        return LineFault("invalid_request", f"{at}: expected an object with a text as custom_id")
    if custom_id in seen:
        message = f"{at}: expected a custom_id that no line before it has"
        return LineFault("duplicate_custom_id", message, custom_id)
    seen.add(custom_id)
    if value.get("method") != "POST":
        return LineFault("invalid_method", f"{at}: expected POST as method", custom_id)
    if value.get("url") != URL:
        return LineFault("invalid_url", f"{at}: expected {URL} as url", custom_id)
    unused = tuple(key for key in value if key not in KEYS)
    return BatchRequest(custom_id, value.get("body"), unused)


def _skip_rest(file: BinaryIO, step_bytes: int) -> None:
    """Go to the next line."""
    while (text := file.readline(step_bytes)) and not text.endswith(b"\n"):
        pass
