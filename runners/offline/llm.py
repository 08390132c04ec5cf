"""``LLM``: prompts in, answers out, in this process; no server, no port, no environment."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from tqdm import tqdm

from api.generation import Question
from contracts.errors import RunnerError, ServiceError
from contracts.generation import SamplingParams
from contracts.settings import settings_of
from runners.offline.loop_thread import LoopThread
from runners.offline.outputs import RequestOutput
from runners.offline.prompts import Asked, Conversation, Message, Prompt, read_prompt
from runners.offline.sampling import sampling_of_each
from runners.offline.session import DEFAULT_CONCURRENCY, open_session

logger = logging.getLogger(__name__)

GREEDY = SamplingParams()


class LLM:
    """A loaded model that answers prompts; a context manager, or call ``close``.

    Blocks its caller, also where that is an event loop's thread. Several threads may ask.

    Args:
        model: Checkpoint, a directory or a hub id; by default the demo model.
        concurrency: Prompts that are read and computed at a time.
        media_dir: Directory whose files ``file:`` URLs in messages may name.
        **settings: Any other setting by the name of its field, ``max_frames=16``.

    Raises:
        SettingsError: A setting is wrong or unknown.
        WeightsError, ModelUnavailable: The model cannot be loaded; the message says why.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        media_dir: str | Path | None = None,
        **settings: object,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency: expected 1 or more, got {concurrency}")
        named = {} if model is None else {"model": str(model)}
        self._settings = settings_of(named | settings)
        self._concurrency = concurrency
        self._stack = AsyncExitStack()
        self._loop = LoopThread("offline")
        try:
            self._session = self._loop.call(
                self._stack.enter_async_context(
                    open_session(
                        self._settings,
                        concurrency=concurrency,
                        media_dir=None if media_dir is None else Path(media_dir),
                    )
                )
            )
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling: SamplingParams | Sequence[SamplingParams] = GREEDY,
        *,
        progress: bool = True,
    ) -> list[RequestOutput]:
        """Answer prompts.

        Args:
            prompts: One that is no list, or a list of them; a list in it is a conversation.
            sampling: For all, or one for each.
            progress: Whether to draw a bar on standard error.

        Returns:
            One for each prompt, in order. What goes wrong with one prompt is its ``error``.

        Raises:
            PromptError: A prompt cannot be used; nothing was computed.
            RuntimeError: This was closed.
        """
        listed = [prompts] if isinstance(prompts, str | Message | Mapping) else prompts
        asked = [
            read_prompt(prompt, at=f"prompts[{index}]", settings=self._settings)
            for index, prompt in enumerate(listed)
        ]
        ways = sampling_of_each(sampling, len(asked), self._settings)
        if not self._loop.is_open:
            raise RuntimeError("this LLM is closed; make another one")
        return self._loop.call(
            self._answer_all(list(zip(asked, ways, strict=True)), progress=progress)
        )

    def chat(
        self,
        messages: Conversation | Sequence[Conversation],
        sampling: SamplingParams | Sequence[SamplingParams] = GREEDY,
        *,
        progress: bool = True,
    ) -> list[RequestOutput]:
        """Continue one conversation, or a list of them; see ``generate``."""
        is_one = bool(messages) and isinstance(messages[0], Mapping | Message)
        conversations = cast(list[Prompt], [messages] if is_one else messages)
        return self.generate(conversations, sampling, progress=progress)

    def close(self) -> None:
        """End the device thread and every decoder; again does nothing."""
        if self._loop.is_open:
            self._loop.call(self._stack.aclose())
            self._loop.close()

    async def _answer_all(
        self, questions: Sequence[tuple[Asked, SamplingParams]], *, progress: bool
    ) -> list[RequestOutput]:
        waiting = enumerate(questions)
        outputs: dict[int, RequestOutput] = {}
        with tqdm(total=len(questions), unit="prompt", disable=not progress) as bar:

            async def answer_next() -> None:
                for index, (asked, sampling) in waiting:
                    outputs[index] = await self._answer(f"prompts[{index}]", asked, sampling)
                    bar.update()

            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(questions))):
                    group.create_task(answer_next())
        return [outputs[index] for index in range(len(questions))]

    async def _answer(self, name: str, asked: Asked, sampling: SamplingParams) -> RequestOutput:
        try:
            policy = self._session.deps.runner.require_card().frame_policy
            draft = await asyncio.to_thread(asked, policy)
            question = Question(name, "offline", draft, sampling, time.monotonic())
            async with self._session.generate(question) as generation:
                return RequestOutput.of(await generation.answer())
        except ServiceError as exc:
            return RequestOutput(error=exc)
        except Exception:
            logger.exception("%s failed (server_error)", name)
            return RequestOutput(error=RunnerError(f"{name} failed; the log says why"))
