"""Query strings of native routes: checked as strictly as bodies."""

from collections import Counter
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import HTTPConnection

from api.problems import request_error
from contracts.errors import RequestError


class QuerySchema(BaseModel):
    """A query string; a native GET refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class NoQuery(QuerySchema):
    """No parameter at all."""


S = TypeVar("S", bound=QuerySchema)


def read_query(request: HTTPConnection, schema: type[S]) -> S:
    """The query of a request.

    Raises:
        RequestError: A parameter is unknown, out of its range, or there twice.
    """
    pairs = request.query_params.multi_items()
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise RequestError(f"{name}: expected once, came {count} times", param=name)
    try:
        return schema.model_validate(dict(pairs))
    except ValidationError as exc:
        raise request_error(exc) from exc
