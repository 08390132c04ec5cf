"""What pydantic found wrong, in the words of the API.

A message holds at most five problems as ``path: expectation (pydantic_type)`` and never a value.
Union tags in angle brackets are pydantic's business and no part of a path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.errors import ConflictingParameters, MissingMedia, RequestError, UnsupportedValue

MAX_PROBLEMS = 5

# Types that our own validators raise, and the class that each of them means.
CLASSES: Mapping[str, type[RequestError]] = {
    "missing_media": MissingMedia,
    "unsupported_value": UnsupportedValue,
    "conflicting_parameters": ConflictingParameters,
}

EXPECTATIONS: Mapping[str, str] = {
    "greater_than_equal": "expected >= {ge}",
    "greater_than": "expected > {gt}",
    "less_than_equal": "expected <= {le}",
    "less_than": "expected < {lt}",
    "missing": "expected, but absent",
    "extra_forbidden": "expected nothing of this name",
    "int_type": "expected an integer",
    "int_parsing": "expected an integer",
    "int_from_float": "expected an integer",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "string_type": "expected a string",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "literal_error": "expected {expected}",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
    "too_short": "expected at least {min_length}, got {actual_length}",
    "too_long": "expected at most {max_length}",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a body; ``loc`` leads to it."""

    loc: tuple[str | int, ...]
    expectation: str
    type: str

    @property
    def path(self) -> str:
        """The way to the field: ``messages[0].content``."""
        return join_path(self.loc) or "body"

    def as_jps(self) -> dict[str, object]:
        """The problem as FastAPI, and so JPS, lists it."""
        return {"loc": ["body", *self.loc], "msg": self.expectation, "type": self.type}


def list_problems(exc: ValidationError) -> list[Problem]:
    """Everything pydantic found, at most five."""
    found = exc.errors(include_url=False, include_input=False)
    return [_problem(details) for details in found[:MAX_PROBLEMS]]


def request_error(exc: ValidationError, *, at: str = "") -> RequestError:
    """The error to raise from a failed validation of the object that stands at path ``at``."""
    problems = list_problems(exc)
    first = problems[0]
    param = f"{at}.{first.path}" if at else first.path
    if first.type in CLASSES:
        return CLASSES[first.type](f"{param}: {first.expectation}", param=param)
    prefix = f"{at}." if at else ""
    lines = [f"{prefix}{one.path}: {one.expectation} ({one.type})" for one in problems]
    if exc.error_count() > MAX_PROBLEMS:
        lines.append(f"and {exc.error_count() - MAX_PROBLEMS} more")
    return RequestError("; ".join(lines), param=None if first.path == "body" else param)


def join_path(loc: Sequence[str | int]) -> str:
    """A way through a body as one text: ``messages[0].content``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return text.removeprefix(".")


def _problem(details: ErrorDetails) -> Problem:
    loc = tuple(step for step in details["loc"] if not str(step).startswith("<"))
    pattern = EXPECTATIONS.get(details["type"])
    if pattern is None:
        expectation = details["msg"].replace("Input should be", "expected")
    else:
        expectation = pattern.format(**details.get("ctx", {}))
    return Problem(loc, expectation, details["type"])
