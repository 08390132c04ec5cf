"""A streamed answer, chunk by chunk, as deltas. Not thread-safe."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from contracts.errors import RunnerError
from contracts.generation import (
    Alternative,
    FinishReason,
    PromptTokens,
    Timings,
    TokenDelta,
    TokenLogprob,
    Usage,
)
from runners.remote.estimate import prompt_tokens
from runners.remote.refusal import error_in_answer
from runners.remote.wire import WireAlternative, WireAnswer, WireChoice, WireLogprobs, WireUsage


@dataclass(slots=True)
class GrowingAnswer:
    """What has come of an answer.

    The delta that ends the last choice is held back until usage was told, which comes after it.

    Attributes:
        num_choices: Answers that were asked for.
        estimate: Of the prompt's tokens.
        sent_s: When the request was sent, on ``time.monotonic``.
        queue_s: Seconds it had waited here.
    """

    num_choices: int
    estimate: PromptTokens
    sent_s: float
    queue_s: float = 0.0
    _finished: set[int] = field(default_factory=set, init=False)
    _last: TokenDelta | None = field(default=None, init=False)
    _told: WireUsage | None = field(default=None, init=False)
    _first_text_s: float | None = field(default=None, init=False)
    _num_pieces: int = field(default=0, init=False)

    def first(self) -> TokenDelta:
        """The delta that says that the request was admitted."""
        return TokenDelta(usage=Usage(self.estimate), timings=Timings(queue_s=self.queue_s))

    def push(self, event: bytes) -> Iterator[TokenDelta]:
        """The deltas of one event.

        Raises:
            RunnerError: It is no chunk of an answer. Also one of its kinds, as the server says.
        """
        try:
            chunk = WireAnswer.model_validate_json(event)
        except ValidationError:
            raise RunnerError("the model's server sent what is no part of an answer") from None
        if chunk.error is not None:
            raise error_in_answer(chunk.error)
        self._told = chunk.usage or self._told
        for choice in chunk.choices:
            if choice.index < self.num_choices and choice.index not in self._finished:
                yield from self._choice(choice)

    def last(self) -> TokenDelta:
        """The delta that ends the answer.

        Raises:
            RunnerError: The server ended it before.
        """
        if self._last is None:
            ended = f"{len(self._finished)} of the {self.num_choices} answers asked for"
            if self._finished:
                raise RunnerError(f"the model's server gave {ended}; it may know one only, n: 1")
            raise RunnerError("the model's server broke the answer off")
        return replace(self._last, usage=self._usage(), timings=self._timings())

    def _choice(self, choice: WireChoice) -> Iterator[TokenDelta]:
        text = choice.delta.content or ""
        if text:
            self._num_pieces += 1
            self._first_text_s = self._first_text_s or time.monotonic()
        delta = TokenDelta(
            text, choice.index, _finish_reason(choice), _token_logprobs(choice.logprobs)
        )
        if delta.finish_reason is not None:
            self._finished.add(choice.index)
            if len(self._finished) == self.num_choices:
                self._last = delta
                return
        if delta.text or delta.logprobs or delta.finish_reason:
            yield delta

    def _usage(self) -> Usage:
        if self._told is None or not self._told.prompt_tokens:
            return Usage(self.estimate, completion=self._num_pieces)
        details = self._told.prompt_tokens_details
        return Usage(
            prompt_tokens(self._told.prompt_tokens, details, self.estimate),
            cached=(details and details.cached_tokens) or 0,
            completion=self._told.completion_tokens,
        )

    def _timings(self) -> Timings:
        """What can be seen from here: all until the first text counts as reading the prompt."""
        now_s = time.monotonic()
        first_text_s = self._first_text_s or now_s
        return Timings(
            queue_s=self.queue_s,
            prefill_s=first_text_s - self.sent_s,
            generate_s=now_s - first_text_s,
        )


def _finish_reason(choice: WireChoice) -> FinishReason | None:
    if choice.finish_reason is None:
        return None
    return FinishReason.LENGTH if choice.finish_reason == "length" else FinishReason.STOP


def _token_logprobs(told: WireLogprobs | None) -> tuple[TokenLogprob, ...]:
    tokens = (told and told.content) or []
    return tuple(
        TokenLogprob(_alternative(token), tuple(map(_alternative, token.top_logprobs)))
        for token in tokens
    )


def _alternative(told: WireAlternative) -> Alternative:
    token_bytes = told.token.encode(errors="replace") if told.bytes is None else bytes(told.bytes)
    return Alternative(told.token, told.logprob, token_bytes)
