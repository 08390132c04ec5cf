"""JSON as a client wrote it: UTF-8, not too deep, and text that can be written back."""

import json
from typing import NoReturn

from contracts.errors import InvalidJson

MAX_DEPTH = 64
MAX_VALUES = 1_000_000  # a parsed value takes fifty times the memory of its text and more
VALUE_MARKS = (b",", b"[", b"{")  # each value but the first has one of these before it


def parse_json(text: bytes | str, *, param: str | None = None) -> object:
    """Parse a body, or the field at path ``param``.

    Raises:
        InvalidJson: It is not JSON, not UTF-8, nested deeper than 64 or has too many values.
    """
    name = param or "body"
    if isinstance(text, bytes) and sum(map(text.count, VALUE_MARKS)) > MAX_VALUES:
        message = f"{name}: expected at most {MAX_VALUES} values; commas and brackets are counted"
        raise InvalidJson(message, param=param)
    try:
        value = json.loads(
            text.decode() if isinstance(text, bytes) else text, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as exc:
        raise InvalidJson(f"{name}: expected UTF-8", param=param) from exc
    except json.JSONDecodeError as exc:
        place = f"line {exc.lineno} column {exc.colno}"
        raise InvalidJson(f"{name}: expected JSON: {exc.msg}, {place}", param=param) from exc
    except RecursionError as exc:
        raise _too_deep(name, param) from exc
    except ValueError as exc:  # a constant, or an integer of thousands of digits
        raise InvalidJson(f"{name}: expected JSON with ordinary numbers", param=param) from exc
    _check(value, name, param)
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _check(value: object, name: str, param: str | None) -> None:
    level = [value]
    for depth in range(MAX_DEPTH + 1):
        if not all(map(_is_text_whole, level)):
            raise InvalidJson(f"{name}: half of a surrogate pair is not text", param=param)
        if depth == MAX_DEPTH and any(isinstance(one, dict | list) for one in level):
            raise _too_deep(name, param)
        level = [inner for outer in level for inner in _inside(outer)]


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _is_text_whole(value: object) -> bool:
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(name: str, param: str | None) -> InvalidJson:
    return InvalidJson(f"{name}: expected at most {MAX_DEPTH} levels of nesting", param=param)
