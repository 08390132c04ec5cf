"""The service without its port: a loaded runner, a media reader, and questions to the two.

Belongs to one event loop.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from pathlib import Path

from api.deps import Deps
from api.generation import Generation, Question, start
from api.pixel_budget import PixelBudget
from contracts.settings import Settings
from contracts.version import VERSION
from media.reader import IsolatedMediaReader

DEFAULT_CONCURRENCY = 16
LOADING_POLL_S = 0.02


class Session:
    """Asks questions as the routes of the service do, within the same budget of pixels."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self._pixels = PixelBudget(lambda: deps)

    @asynccontextmanager
    async def generate(self, question: Question) -> AsyncIterator[Generation]:
        """An admitted question; leaving the context ends the work.

        Raises:
            ServiceError: The question is refused.
        """
        with closing(self._pixels.claim()) as claim:
            async with aclosing(await start(self.deps, question, claim)) as generation:
                yield generation


@asynccontextmanager
async def open_session(
    settings: Settings, *, concurrency: int, media_dir: Path | None = None
) -> AsyncIterator[Session]:
    """Load the model; leaving the context ends the device thread and every decoder.

    Args:
        settings: As for the service.
        concurrency: Questions that will be asked at a time.
        media_dir: Directory whose files ``file:`` URLs may name.

    Raises:
        WeightsError, ModelUnavailable: The model cannot be loaded; the message says why.
    """
    from runners.opening import open_runner

    settings = _for_questions_side_by_side(settings, concurrency)
    runner = open_runner(settings)
    media = IsolatedMediaReader(settings, media_dir=media_dir)
    try:
        await runner.start()
        while runner.state == "loading":  # noqa: ASYNC110 - whoever asks for readiness polls it
            await asyncio.sleep(LOADING_POLL_S)
        runner.require_card()
        yield Session(Deps(settings, runner, media, VERSION))
    finally:
        await runner.close()
        await media.close()


def _for_questions_side_by_side(settings: Settings, concurrency: int) -> Settings:
    """Each has its place in the queue, and its time counts from where those before it end."""
    return settings.model_copy(
        update={
            "max_queue": max(settings.max_queue, concurrency),
            "request_timeout_s": settings.request_timeout_s * concurrency,
        }
    )
