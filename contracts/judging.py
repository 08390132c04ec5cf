"""A yes/no decision about a clip, read from the logits of one token."""

import math
from dataclasses import dataclass
from typing import Protocol

from contracts.errors import RequestError
from contracts.media import Clip


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """Questions about one clip; each is answered as if it were the only one.

    ``deadline_s`` is on the clock of ``time.monotonic``.

    Raises:
        RequestError: There is no question, or a blank one.
    """

    clip: Clip
    questions: tuple[str, ...]
    deadline_s: float = math.inf

    def __post_init__(self) -> None:
        if not self.questions:
            raise RequestError("expected at least one question, got none", param="questions")
        for index, question in enumerate(self.questions):
            if not question.strip():
                message = f"expected a question, got blank text as number {index + 1}; write one"
                raise RequestError(message, param=f"questions[{index}]")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to one question.

    Attributes:
        p_yes: P(yes) / (P(yes) + P(no)) at the first position of the answer, 0 to 1.
        known: Whether yes and no together are at least VLM_KNOWN_MASS likely there.
    """

    p_yes: float
    known: bool


class Judge(Protocol):
    """Answers yes/no questions. Safe to call from many tasks of one event loop."""

    async def judge(self, request: JudgeRequest) -> list[Judgement]:
        """Judge a clip; one judgement for each question, in their order.

        Raises:
            ModelLoading, ModelUnavailable, ShuttingDown, QueueFull: Nothing was judged.
            ContextLengthExceeded, OutOfMemory, RequestTimeout: Likewise.
        """
        ...
