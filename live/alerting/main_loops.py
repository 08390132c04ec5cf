"""Keeps what must never end from ending in silence. Belongs to one event loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

PAUSE_S = 5.0  # so that what fails at once does not fill the log

logger = logging.getLogger(__name__)


async def kept_running(
    name: str, run: Callable[[], Awaitable[None]], *, pause_s: float = PAUSE_S
) -> None:
    """Run something until cancelled, and again, a little later, whenever it failed."""
    while True:
        try:
            await run()
        except Exception:
            logger.exception("%s failed and begins again (server_error)", name)
        await asyncio.sleep(pause_s)
