"""The words for what pydantic found."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from api.problems import request_error
from api.wire_schemas import Seed, WireSchema
from contracts.errors import RequestError


class Inner(WireSchema):
    size: int | None = Field(default=None, ge=1, lt=10)
    word: Literal["a", "b"] | None = None


class Outer(WireSchema):
    name: Annotated[str, Field(min_length=2, max_length=4)]
    seed: Seed | None = None
    share: float | None = None
    is_on: bool | None = None
    inner: list[Inner] = Field(default=[], max_length=6)


def error_of(value: object, schema: type[BaseModel] = Outer, at: str = "") -> RequestError:
    with pytest.raises(ValidationError) as caught:
        schema.model_validate(value)
    return request_error(caught.value, at=at)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": -(2**63) - 1}, "seed: expected >= -9223372036854775808 (greater_than_equal)"),
        ({"seed": 2**63}, "seed: expected <= 9223372036854775807 (less_than_equal)"),
        ({"seed": 1.5}, "seed: expected an integer (int_type)"),
        ({"seed": True}, "seed: expected an integer (int_type)"),
        ({"share": "1"}, "share: expected a number (float_type)"),
        ({"is_on": 1}, "is_on: expected true or false (bool_type)"),
        ({"name": 1}, "name: expected a string (string_type)"),
        ({"name": "a"}, "name: expected at least 2 characters (string_too_short)"),
        ({"name": "abcde"}, "name: expected at most 4 characters (string_too_long)"),
        ({"inner": 1}, "inner: expected a list (list_type)"),
        ({"inner": [1]}, "inner[0]: expected an object (model_type)"),
        ({"inner": [{}, {"size": 0}]}, "inner[1].size: expected >= 1 (greater_than_equal)"),
        ({"inner": [{"size": 10}]}, "inner[0].size: expected < 10 (less_than)"),
        ({"inner": [{"word": "c"}]}, "inner[0].word: expected 'a' or 'b' (literal_error)"),
        ({"inner": [{}] * 7}, "inner: expected at most 6 (too_long)"),
    ],
)
def test_a_problem_is_path_expectation_and_type(fields: dict[str, object], message: str) -> None:
    error = error_of({"name": "abc", **fields})
    assert error.message == message
    assert error.param == message.partition(":")[0]
    assert error.code == "invalid_request"


def test_an_absent_field_is_named() -> None:
    assert error_of({}).message == "name: expected, but absent (missing)"


def test_a_body_that_is_no_object_has_no_param() -> None:
    error = error_of([1])
    assert error.message == "body: expected an object (model_type)"
    assert error.param is None


def test_at_most_five_problems_are_listed() -> None:
    error = error_of({"name": "abc", "inner": [{"size": 0}] * 6, "seed": "secret"})
    assert error.message.count("; ") == 5
    assert error.message.endswith("; and 2 more")
    assert "secret" not in error.message


def test_a_problem_in_a_field_has_the_fields_path() -> None:
    error = error_of({"size": 0}, Inner, at="metadata")
    assert error.message == "metadata.size: expected >= 1 (greater_than_equal)"
    assert error.param == "metadata.size"
