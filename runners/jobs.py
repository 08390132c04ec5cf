"""What waits for the engine: a request planned, and who listens to what comes of it.

Knows nothing of models. ``cancel`` is safe from any thread.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.errors import ServiceError
from contracts.generation import GenerationRequest, TokenDelta
from contracts.judging import Judgement
from contracts.work_class import WorkClass
from llava_custom import Prompt

Listener = Callable[[TokenDelta | ServiceError | None], None]
JudgeListener = Callable[[list[Judgement] | ServiceError], None]


@dataclass(slots=True, eq=False, kw_only=True)
class Work:
    """What every job has.

    Attributes:
        submitted_s: On the clock of ``time.monotonic``.
        has_answered: Whether a part of an answer was handed out.
        is_second_try: Whether it ran out of memory once, and began again.
    """

    submitted_s: float = field(default_factory=time.monotonic)
    has_answered: bool = field(default=False, init=False)
    is_second_try: bool = field(default=False, init=False)
    _cancelled: threading.Event = field(default_factory=threading.Event, init=False)

    def cancel(self) -> None:
        """Nobody listens any more; the work ends within one step."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the listener left."""
        return self._cancelled.is_set()


@dataclass(slots=True, eq=False)
class Job(Work):
    """A request for text on its way through the engine.

    Attributes:
        max_tokens: Tokens each choice may have, the context considered.
        listener: Called on the device thread with each delta, then ``None``, or with one error.
    """

    request: GenerationRequest
    prompt: Prompt
    max_tokens: int
    listener: Listener

    @property
    def name(self) -> str:
        """For the log."""
        return self.request.request_id

    @property
    def work_class(self) -> WorkClass:
        """Whose work it is."""
        return self.request.work_class

    @property
    def num_choices(self) -> int:
        """Answers that keep keys and values of their own."""
        return self.request.sampling.num_choices


@dataclass(slots=True, eq=False)
class JudgeJob(Work):
    """Questions about one clip on their way through the engine.

    Attributes:
        prompts: One for each question.
        known_mass: Least likelihood of yes and no together for an answer to be known.
        listener: Called on the device thread once: with all judgements, or with an error.
    """

    prompts: tuple[Prompt, ...]
    known_mass: float
    listener: JudgeListener
    name: str = field(default="judge", init=False)
    work_class: WorkClass = field(default="alert", init=False)
    num_choices: int = field(default=1, init=False)

    @property
    def prompt(self) -> Prompt:
        """The longest one."""
        return max(self.prompts, key=lambda prompt: prompt.tokens.total)
