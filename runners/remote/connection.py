"""Requests to one server, on connections that are kept; its key goes there and nowhere else.

Nothing is sent twice: only a connection that could not be opened is tried again. Belongs to one
event loop.
"""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from contracts.errors import ModelUnavailable, RunnerError
from contracts.version import VERSION
from runners.remote.refusal import Refusal
from runners.remote.sse import LineTooLong, event_data

CONNECT_S = 5.0
WRITE_S = 60.0  # for each piece of a body
LOOK_S = 10.0  # for an answer that needs no model
KEEP_S = 3.0  # most servers close silent connections after 5 s: not while we send on one
MAX_REFUSAL_BYTES = 65536
MAX_LOGGED = 300

logger = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request otherwise

Answer = TypeVar("Answer", bound=BaseModel)

# Most specific first. Foreign texts may hold addresses, so none is passed on.
FAILURES: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectError, "cannot be reached"),
    (httpx.TimeoutException, "did not answer in time"),
    (httpx.UnsupportedProtocol, "cannot be reached"),
    (httpx.ProxyError, "cannot be reached"),
    (httpx.TooManyRedirects, "redirects; set VLM_OPENAI_URL to where it leads"),
    (httpx.HTTPError, "broke the connection off"),
    (httpx.InvalidURL, "cannot be reached"),
    (httpx.StreamError, "broke the connection off"),
    (LineTooLong, "sends what is no answer"),
)


class ServerConnection:
    """Asks a server.

    Args:
        base_url: Such as ``http://host:8000/v1``.
        key: Sent as a bearer token, unless it is empty.
    """

    def __init__(self, base_url: str, key: SecretStr) -> None:
        self._base_url = base_url
        self._key = key
        headers = {"User-Agent": f"Lookout/{VERSION}", "Accept-Encoding": "identity"}
        if key.get_secret_value():
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_S, write=WRITE_S),
            transport=httpx.AsyncHTTPTransport(
                verify=base_url.startswith("https:") and ssl.create_default_context(),
                trust_env=False,
                retries=1,  # of connecting
                limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEP_S),
            ),
        )

    async def close(self) -> None:
        """Close every connection; what runs on them ends."""
        await self._client.aclose()

    async def get(self, path: str, kind: type[Answer]) -> Answer:
        """Ask for something that needs no model.

        Raises:
            ModelUnavailable: The server did not answer.
            Refusal: It answered something else.
        """
        async with self._sent("GET", path, None, httpx.Timeout(LOOK_S)) as response:
            return _read(kind, await response.aread())

    async def post(self, path: str, body: bytes, kind: type[Answer]) -> Answer:
        """Send JSON, wait for the whole answer; errors as of ``get``, the bound is the caller's."""
        async with self._sent("POST", path, body) as response:
            return _read(kind, await response.aread())

    @asynccontextmanager
    async def events(self, path: str, body: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send JSON, read the events of the answer as they come; leaving hangs up.

        Raises:
            ModelUnavailable, Refusal: As of ``get``; the first also while events are read.
        """
        async with self._sent("POST", path, body) as response:
            yield event_data(response.aiter_raw())

    @asynccontextmanager
    async def _sent(
        self, method: str, path: str, body: bytes | None, waits: httpx.Timeout | None = None
    ) -> AsyncIterator[httpx.Response]:
        waits = self._client.timeout if waits is None else waits
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._client.stream(
                method, self._url(path), content=body, headers=headers, timeout=waits
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise await self._refusal(response)
                yield response
        except tuple(theirs for theirs, _ in FAILURES) as exc:
            said = next(said for theirs, said in FAILURES if isinstance(exc, theirs))
            raise ModelUnavailable(f"the model's server {said}") from None

    def _url(self, path: str) -> str:
        """Of a path below the base, or with two slashes below the address itself."""
        if path.startswith("//"):
            return self._base_url.removesuffix("/v1") + path[1:]
        return self._base_url + path

    async def _refusal(self, response: httpx.Response) -> Refusal:
        text = (await _beginning(response)).decode(errors="replace")
        if key := self._key.get_secret_value():
            text = text.replace(key, "***")
        shown = text[:MAX_LOGGED]
        level = logging.DEBUG if response.request.method == "GET" else logging.WARNING
        logger.log(level, "the model's server answers %d: %s", response.status_code, shown)
        return Refusal(response.status_code, text, response.headers.get("retry-after"))


async def _beginning(response: httpx.Response) -> bytes:
    read = b""
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) >= MAX_REFUSAL_BYTES:
            break
    return read


def _read(kind: type[Answer], text: bytes) -> Answer:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        message = "the model's server answered something else than OpenAI's API says"
        raise RunnerError(message) from None
