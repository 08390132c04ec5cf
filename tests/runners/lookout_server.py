"""Lookout's HTTP surface over a real port, in the tests' own process and event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from api.app import build_app
from contracts.generation import ModelRunner
from contracts.settings import Settings
from media.reader import IsolatedMediaReader
from tests.api.fakes import deps_of


class Server(uvicorn.Server):
    """One that leaves the signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def lookout_server(runner: ModelRunner) -> AsyncIterator[str]:
    """Serve a runner; the base URL of its OpenAI API."""
    media = IsolatedMediaReader(Settings())
    deps = deps_of(runner, media)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(build_app(lambda: deps), lifespan="off", log_config=None)
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        host, port = listening.getsockname()
        try:
            yield f"http://{host}:{port}/v1"
        finally:
            server.should_exit = True
            await task
            await media.close()
