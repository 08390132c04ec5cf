"""Lines of a batch's input: their ids, and what is wrong with them."""

import json
from pathlib import Path

import pytest

from runners.offline.batch_lines import BatchRequest, InputLine, LineFault, input_lines, read_line

GOOD = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"x": 1}}
MAX_BYTES = 200


def lines(tmp_path: Path, text: bytes, answerer: str = "m") -> list[InputLine]:
    path = tmp_path / "in.jsonl"
    path.write_bytes(text)
    return list(input_lines(path, answerer=answerer, max_bytes=MAX_BYTES))


def read(value: object, seen: set[str] | None = None) -> BatchRequest | LineFault:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_line(InputLine(7, text, "0" * 32), set() if seen is None else seen)


def test_blank_lines_and_line_ends_mean_nothing(tmp_path: Path) -> None:
    plain = lines(tmp_path, b"one\ntwo")
    spaced = lines(tmp_path, b"\n one\r\n\n  \ntwo\n")
    assert [line.text for line in spaced] == [b"one", b"two"]
    assert [line.number for line in spaced] == [2, 5]
    assert [line.id for line in spaced] == [line.id for line in plain]


def test_an_id_is_made_of_the_text_its_place_and_who_answers(tmp_path: Path) -> None:
    first, second = lines(tmp_path, b"one\none")
    (other,) = lines(tmp_path, b"one", answerer="n")
    (same, _) = lines(tmp_path, b"one\ntwo")
    assert first.id == same.id
    assert len({first.id, second.id, other.id}) == 3
    assert first.id.startswith("batch_req_")
    assert 0 <= first.seed < 2**63


def test_a_line_that_is_too_long_is_passed_over_and_counts(tmp_path: Path) -> None:
    short, long = b"s" * MAX_BYTES, b"x" * (5 * MAX_BYTES)
    found = lines(tmp_path, b"\n".join([short, long, b"end"]))
    assert [(line.text, line.is_too_long) for line in found] == [
        (short, False),
        (b"", True),
        (b"end", False),
    ]
    fault = read_line(found[1], set())
    assert isinstance(fault, LineFault)
    assert fault.code == "request_too_large"


def test_a_good_line_is_a_request() -> None:
    assert read(GOOD) == BatchRequest("a", {"x": 1})
    assert read({**GOOD, "prio": 1, "body": None}) == BatchRequest("a", None, ("prio",))


@pytest.mark.parametrize(
    ("value", "code", "custom_id"),
    [
        (b"{", "invalid_json_line", None),
        (b"\xff", "invalid_json_line", None),
        (b"NaN", "invalid_json_line", None),
        ([], "invalid_request", None),
        ({**GOOD, "custom_id": 7}, "invalid_request", None),
        ({**GOOD, "custom_id": ""}, "invalid_request", None),
        ({**GOOD, "custom_id": "taken"}, "duplicate_custom_id", "taken"),
        ({**GOOD, "method": "GET"}, "invalid_method", "a"),
        ({**GOOD, "url": "/v1/embeddings"}, "invalid_url", "a"),
        ({"custom_id": "a"}, "invalid_method", "a"),
    ],
)
def test_a_bad_line_says_what_was_expected(value: object, code: str, custom_id: str | None) -> None:
    fault = read(value, {"taken"})
    assert isinstance(fault, LineFault)
    assert (fault.code, fault.custom_id) == (code, custom_id)
    assert fault.message.startswith("line 7: expected")


def test_a_custom_id_is_taken_by_the_first_line_that_has_it() -> None:
    seen: set[str] = set()
    assert isinstance(read({**GOOD, "method": "GET"}, seen), LineFault)
    assert seen == {"a"}
    fault = read(GOOD, seen)
    assert isinstance(fault, LineFault)
    assert fault.code == "duplicate_custom_id"
