"""vLLM's outputs as deltas. Not thread-safe."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

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

REASONS = {
    "stop": FinishReason.STOP,
    "repetition": FinishReason.STOP,
    "length": FinishReason.LENGTH,
}


@dataclass(slots=True)
class VllmAnswer:
    """What has come of an answer.

    Attributes:
        prompt: Tokens of the prompt.
        num_choices: Answers that were asked for.
        num_likeliest: Alternatives to tell with each token; ``None`` tells nothing of tokens.
        queue_s: Seconds it waited before vLLM got it.
    """

    prompt: PromptTokens
    num_choices: int
    num_likeliest: int | None
    queue_s: float
    _began_s: float = field(default_factory=time.monotonic, init=False)
    _first_s: float | None = field(default=None, init=False)
    _num_drawn: int = field(default=0, init=False)
    _num_finished: int = field(default=0, init=False)

    def first(self) -> TokenDelta:
        """The delta that says that the request was admitted."""
        return TokenDelta(usage=Usage(self.prompt), timings=Timings(queue_s=self.queue_s))

    def push(self, output: Any) -> Iterator[TokenDelta]:  # noqa: ANN401 - vLLM may not be there
        """The deltas of one ``RequestOutput``.

        Raises:
            RunnerError: vLLM gave the request up.
        """
        self._first_s = self._first_s or time.monotonic()
        for one in output.outputs:
            self._num_drawn += len(one.token_ids)
            if one.finish_reason is not None and one.finish_reason not in REASONS:
                raise RunnerError("vLLM gave the request up")
            delta = TokenDelta(
                one.text, one.index, REASONS.get(one.finish_reason), self._logprobs(one)
            )
            if delta.finish_reason is not None:
                self._num_finished += 1
            if self._num_finished == self.num_choices:
                delta = self._closing(delta, output.num_cached_tokens or 0)
            if delta.text or delta.logprobs or delta.finish_reason:
                yield delta

    def _closing(self, delta: TokenDelta, num_cached: int) -> TokenDelta:
        first_s = self._first_s or self._began_s
        timings = Timings(
            queue_s=self.queue_s,
            prefill_s=first_s - self._began_s,
            generate_s=time.monotonic() - first_s,
        )
        usage = Usage(self.prompt, cached=num_cached, completion=self._num_drawn)
        return replace(delta, usage=usage, timings=timings)

    def _logprobs(self, one: Any) -> tuple[TokenLogprob, ...]:  # noqa: ANN401 - as above
        """Of the tokens that are part of the answer: one that ended it is not."""
        if self.num_likeliest is None or not one.logprobs:
            return ()
        has_end = one.finish_reason == "stop" and not isinstance(one.stop_reason, str)
        tokens = list(zip(one.token_ids, one.logprobs, strict=True))
        return tuple(
            TokenLogprob(_alternative(told[token_id]), self._likeliest(told))
            for token_id, told in (tokens[:-1] if has_end else tokens)
        )

    def _likeliest(self, told: Mapping[int, Any]) -> tuple[Alternative, ...]:
        ranked = sorted(told.values(), key=lambda one: one.rank)
        return tuple(_alternative(one) for one in ranked[: self.num_likeliest])


def _alternative(told: Any) -> Alternative:  # noqa: ANN401 - as above
    token = told.decoded_token or ""
    return Alternative(token, told.logprob, token.encode(errors="replace"))
