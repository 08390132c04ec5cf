"""How another server stands: asked every few seconds, and at once when a request failed.

Belongs to one event loop.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from contracts.errors import ModelLoading, ModelUnavailable, ServiceError
from contracts.generation import ModelState
from runners.remote.connection import ServerConnection
from runners.remote.refusal import Refusal
from runners.remote.server_model import ServerModel, choose_model
from runners.remote.wire import WireModel, WireModels, WireStatus

POLL_S = 5.0
ABSENT_POLL_S = 1.0  # while it is not there

logger = logging.getLogger(__name__)


class ServerWatch:
    """Knows whether a model elsewhere can be asked, and what it is.

    Args:
        connection: To its server.
        wanted: Its name there; ``None`` is the first model listed.
        on_return: Called whenever the server came, or came back: it may be another program.
        poll_s: Seconds between two looks, and ``absent_poll_s`` while the last one failed.
    """

    def __init__(
        self,
        connection: ServerConnection,
        wanted: str | None,
        *,
        on_return: Callable[[], None],
        poll_s: float = POLL_S,
        absent_poll_s: float = ABSENT_POLL_S,
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._on_return = on_return
        self._poll_s = poll_s
        self._absent_poll_s = absent_poll_s
        self._known: ServerModel | None = None
        self._trouble: ServiceError | None = ModelLoading(
            "the model's server has not answered yet; try again in a few seconds"
        )
        self._is_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unlisted = False

    @property
    def state(self) -> ModelState:
        """As of the last look."""
        if self._trouble is None:
            return "ready"
        return "loading" if isinstance(self._trouble, ModelLoading) else "failed"

    @property
    def model(self) -> ServerModel | None:
        """What was served when the server was last there."""
        return self._known

    def require(self) -> ServerModel:
        """The model, now.

        Raises:
            ModelLoading, ModelUnavailable: It cannot be asked; the message says why.
        """
        if self._trouble is not None:
            raise type(self._trouble)(self._trouble.message)
        assert self._known is not None  # a look without trouble found one
        return self._known

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look_for_ever(), name="model server watch")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def look_now(self) -> None:
        """Look as soon as possible: a request could not be sent."""
        self._is_asked.set()

    async def _look_for_ever(self) -> None:
        while True:
            self._note(await self._trouble_now())
            pause_s = self._poll_s if self._trouble is None else self._absent_poll_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._is_asked.wait()
            self._is_asked.clear()

    async def _trouble_now(self) -> ServiceError | None:
        try:
            self._known = await self._look()
        except Refusal as exc:
            return exc.error()
        except ServiceError as exc:
            return exc
        except Exception:  # whatever it is, the next look may find it gone
            logger.exception("looking at the model's server failed (server_error)")
            return ModelUnavailable("the model's server could not be looked at; see the log")
        return None

    def _note(self, trouble: ServiceError | None) -> None:
        if trouble is not None and not isinstance(trouble, ModelLoading | ModelUnavailable):
            trouble = ModelUnavailable(trouble.message)
        before, self._trouble = self._trouble, trouble
        if trouble is None and before is not None:
            self._on_return()
            logger.info("the model's server is ready: %s", self._known)
        elif trouble is not None and (before is None or before.message != trouble.message):
            logger.warning("%s (%s)", trouble.message, trouble.code)

    async def _look(self) -> ServerModel:
        """The model.

        Raises:
            ModelLoading, ModelUnavailable, RunnerError, Refusal: It cannot be asked.
        """
        listed = (await self._connection.get("/models", WireModels)).data or []
        model = self._choose(listed)
        if model.kind == "lookout":
            state = (await self._connection.get("/status", WireStatus)).model.state
            if state == "loading":
                raise ModelLoading("the model's server is still loading it; try again soon")
            if state != "ready":
                raise ModelUnavailable("the model's server says that its model has failed")
        return model

    def _choose(self, listed: Sequence[WireModel]) -> ServerModel:
        names = ", ".join(one.id for one in listed[:20]) or "none"
        try:
            model = choose_model(self._wanted, listed)
        except ModelUnavailable:
            if not self._unlisted:
                logger.warning("models of the model's server: %s", names)
            self._unlisted = True
            raise
        is_unlisted = all(one.id != model.name for one in listed)
        if is_unlisted and not self._unlisted:
            logger.warning("the model's server does not list the model; it lists: %s", names)
        self._unlisted = is_unlisted
        return model
