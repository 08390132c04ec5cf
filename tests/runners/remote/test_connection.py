"""What the HTTP library raises is all in our table; keys stay with their server."""

import httpx
import pytest
from pydantic import SecretStr

from runners.remote.connection import FAILURES, ServerConnection

NOT_RAISED = {httpx.CookieConflict, httpx.HTTPStatusError, httpx.DecodingError}


def below(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))


def test_every_failure_of_the_library_has_its_words() -> None:
    known = below(httpx.HTTPError) | below(httpx.StreamError) | {httpx.InvalidURL}
    every = {one for one in vars(httpx).values() if isinstance(one, type)}
    errors = {one for one in every if issubclass(one, Exception)}
    assert errors - NOT_RAISED <= known
    assert all(issubclass(one, tuple(theirs for theirs, _ in FAILURES)) for one in known)


@pytest.mark.parametrize("key", ["", "sk-1"])
async def test_a_key_is_sent_if_there_is_one_and_never_shown(key: str) -> None:
    connection = ServerConnection("http://127.0.0.1:9/v1", SecretStr(key))
    headers = connection._client.headers
    assert headers.get("authorization") == (f"Bearer {key}" if key else None)
    assert "sk-1" not in repr(connection) + repr(vars(connection))
    await connection.close()
