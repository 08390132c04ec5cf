"""JSON that is JSON, and what is not."""

import pytest

from api.json_text import parse_json
from contracts.errors import InvalidJson


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        ('"ä€😀"'.encode(), "ä€😀"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"[" * 64 + b"]" * 64, None),
    ],
)
def test_json_is_parsed(text: bytes, value: object) -> None:
    assert value is None or parse_json(text) == value
    parse_json(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[Infinity]",
        b"\xff\xfe",
        '"ä"'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b'"\\ud83d"',
        b'{"\\ud83d": 1}',
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_json_is_refused_without_an_echo(text: bytes) -> None:
    with pytest.raises(InvalidJson) as caught:
        parse_json(text)
    assert "nonsense" not in caught.value.message
    assert caught.value.param is None


def test_a_field_is_named() -> None:
    with pytest.raises(InvalidJson, match=r"^metadata: ") as caught:
        parse_json("{", param="metadata")
    assert caught.value.param == "metadata"


@pytest.mark.parametrize("values", [b"[],", b"{},", b'{"a":[1]},', b"1,"])
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(values: bytes) -> None:
    with pytest.raises(InvalidJson, match="at most 1000000 values"):
        parse_json(b"[" + values * 1_000_000 + b"1]")


def test_a_text_is_one_value_however_long() -> None:
    assert parse_json(b'"' + b"a/+=" * 500_000 + b'"')
