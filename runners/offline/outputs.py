"""What ``LLM`` hands back, one value for each prompt. Plain values."""

from dataclasses import dataclass

from api.generation import Answer
from contracts.errors import ServiceError
from contracts.generation import FinishReason, PromptTokens, Timings, TokenLogprob, Usage

NO_TOKENS = Usage(PromptTokens())
NO_TIME = Timings()


@dataclass(frozen=True, slots=True)
class CompletionOutput:
    """One choice: its text, why it ended, and log-probabilities where they were asked for."""

    text: str
    finish_reason: FinishReason | None
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """The answer to one prompt, or the error that came instead.

    Attributes:
        outputs: One for each choice; none when there is an error.
        usage: Tokens it took.
        timings: Seconds it took.
        error: Why there is no answer.
    """

    outputs: tuple[CompletionOutput, ...] = ()
    usage: Usage = NO_TOKENS
    timings: Timings = NO_TIME
    error: ServiceError | None = None

    @classmethod
    def of(cls, answer: Answer) -> "RequestOutput":
        """The same answer as a value that does not change."""
        outputs = tuple(
            CompletionOutput(choice.text, choice.finish_reason, tuple(choice.logprobs))
            for choice in answer.choices
        )
        return cls(outputs, answer.usage, answer.timings)

    @property
    def text(self) -> str:
        """The first choice's text.

        Raises:
            ServiceError: There is no answer; this is why.
        """
        return self._first.text

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the first choice ended.

        Raises:
            ServiceError: There is no answer; this is why.
        """
        return self._first.finish_reason

    @property
    def _first(self) -> CompletionOutput:
        if self.error is not None:
            raise self.error
        return self.outputs[0]
