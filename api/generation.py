"""From a request whose body is read to an answer on its way, and to the whole answer."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from api.deps import Deps
from api.drafts import Draft, check_streams, read_draft
from api.pixel_budget import PixelClaim
from contracts.chat import ChatMessage
from contracts.errors import RequestTimeout, RunnerError
from contracts.generation import (
    FinishReason,
    GenerationRequest,
    PromptTokens,
    SamplingParams,
    Timings,
    TokenDelta,
    TokenLogprob,
    Usage,
)
from contracts.work_class import WorkClass


@dataclass(frozen=True, slots=True)
class Question:
    """What to generate from; ``received_s`` is when the body's last byte came, monotonic."""

    id: str
    request_id: str
    draft: Draft
    sampling: SamplingParams
    received_s: float
    work_class: WorkClass = "chat"


@dataclass(slots=True)
class Choice:
    """One answer, as far as it has come."""

    text: str = ""
    finish_reason: FinishReason | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """All choices, whole, and what they cost."""

    choices: tuple[Choice, ...]
    usage: Usage
    timings: Timings


class Generation:
    """An admitted request: nothing can refuse it any more, its text is yet to come.

    Whoever holds it closes it, which ends the work.
    """

    def __init__(
        self,
        messages: tuple[ChatMessage, ...],
        num_choices: int,
        deltas: AsyncGenerator[TokenDelta, None],
        claim: PixelClaim,
    ) -> None:
        self.messages = messages
        self.num_choices = num_choices
        self.usage = Usage(PromptTokens())
        self.timings = Timings()
        self._deltas = deltas
        self._claim = claim
        self._unfinished = set(range(num_choices))

    async def __aiter__(self) -> AsyncIterator[TokenDelta]:
        """The deltas after the first.

        Raises:
            RunnerError: The runner ended before every choice did.
        """
        async for delta in self._deltas:
            self.note(delta)
            yield delta
        if self._unfinished:
            raise RunnerError("the runner left an answer unfinished")

    def note(self, delta: TokenDelta) -> None:
        """Remember what a delta says about the whole request."""
        self.usage = delta.usage or self.usage
        self.timings = delta.timings or self.timings
        if delta.finish_reason is not None:
            self._unfinished.discard(delta.choice_index)

    async def aclose(self) -> None:
        """End the work, wherever it is, and give back the memory of its pixels."""
        try:
            await self._deltas.aclose()
        finally:
            self._claim.close()

    async def answer(self) -> Answer:
        """The whole answer."""
        choices = tuple(Choice() for _ in range(self.num_choices))
        async for delta in self:
            choice = choices[delta.choice_index]
            choice.text += delta.text
            choice.logprobs += delta.logprobs
            choice.finish_reason = delta.finish_reason or choice.finish_reason
        return Answer(choices, self.usage, self.timings)


async def read_question(
    deps: Deps, question: Question, claim: PixelClaim
) -> tuple[ChatMessage, ...]:
    """Read the question's media within its deadline, as far as their pixels are within the claim.

    Raises:
        StreamNotFound: A live stream is not there.
        ModelLoading, ModelUnavailable: How the model takes frames is not known.
        RequestTimeout: They took too long.
        MediaError: One of them cannot be used.
    """
    check_streams(question.draft, deps)
    card = deps.runner.require_card()
    left_s = deadline_s(deps, question) - time.monotonic()
    try:
        async with asyncio.timeout(left_s) as bound:
            messages = await read_draft(question.draft, deps, card.frame_policy, claim)
    except TimeoutError as exc:
        if not bound.expired():
            raise
        raise RequestTimeout(
            f"the media took longer than the {deps.settings.request_timeout_s:g} s of a request"
        ) from exc
    claim.stop_reading()
    return messages


async def start(deps: Deps, question: Question, claim: PixelClaim) -> Generation:
    """Read the media and wait for the request's admission.

    Raises:
        ServiceError: Whatever can refuse a request does it here.
    """
    messages = await read_question(deps, question, claim)
    deltas = deps.runner.generate(
        GenerationRequest(
            request_id=f"{question.request_id}/{question.id}",  # unique, whatever clients send
            messages=messages,
            sampling=question.sampling,
            deadline_s=deadline_s(deps, question),
            work_class=question.work_class,
        )
    )
    generation = Generation(messages, question.sampling.num_choices, deltas, claim)
    try:
        generation.note(await anext(deltas))
    except BaseException:
        await generation.aclose()
        raise
    return generation


def deadline_s(deps: Deps, question: Question) -> float:
    """When the question's time is over, on ``time.monotonic``."""
    return question.received_s + deps.settings.request_timeout_s
