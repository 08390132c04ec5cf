"""Query strings of native routes."""

from typing import Annotated, Literal

import pytest
from pydantic import Field
from starlette.requests import Request

from api.query import NoQuery, QuerySchema, read_query
from contracts.errors import RequestError


class Wishes(QuerySchema):
    fps: Annotated[float, Field(ge=1, le=15)] = 5.0
    overlay: Literal["0", "1"] = "0"


def request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


@pytest.mark.parametrize(
    ("query", "fps", "overlay"),
    [("", 5.0, "0"), ("fps=7.5", 7.5, "0"), ("overlay=1&fps=15", 15.0, "1")],
)
def test_what_is_not_said_has_a_default(query: str, fps: float, overlay: str) -> None:
    wishes = read_query(request(query), Wishes)
    assert (wishes.fps, wishes.overlay) == (fps, overlay)


@pytest.mark.parametrize(
    ("query", "param", "said"),
    [
        ("fps=0", "fps", "expected >= 1"),
        ("fps=nan", "fps", "finite"),
        ("fps=", "fps", "expected a number"),
        ("fps=many", "fps", "expected a number"),
        ("overlay=true", "overlay", "expected '0' or '1'"),
        ("fsp=5", "fsp", "expected nothing of this name"),
        ("fps=5&fps=5", "fps", "expected once, came 2 times"),
    ],
)
def test_what_is_wrong_is_told_by_name(query: str, param: str, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        read_query(request(query), Wishes)
    assert caught.value.param == param
    assert "many" not in caught.value.message


def test_some_routes_take_nothing() -> None:
    read_query(request(""), NoQuery)
    with pytest.raises(RequestError):
        read_query(request("a=1"), NoQuery)
