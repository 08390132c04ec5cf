"""What waits for the engine: a request planned, and who listens to what comes of it.

Knows nothing of models. ``cancel`` is safe from any thread.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.errors import ServiceError
from contracts.generation import GenerationRequest, TokenDelta
from contracts.judging import Judgement
from contracts.work_class import WorkClass
from llava_custom import Prompt
from runners.grammars import Grammar
from runners.token_masks import TokenMask

ANSWER_TOKENS = 256  # that an answer is expected to have, where more are allowed

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
        grammar: Of the form that the answers must have, if they must.
        num_prompt_tokens: Tokens to be read.
    """

    request: GenerationRequest
    prompt: Prompt
    max_tokens: int
    listener: Listener
    grammar: Grammar | None = None
    num_prompt_tokens: int = field(init=False)

    @property
    def name(self) -> str:
        """For the log."""
        return self.request.request_id

    @property
    def work_class(self) -> WorkClass:
        """Whose work it is."""
        return self.request.work_class

    @property
    def deadline_s(self) -> float:
        """When nobody waits any more."""
        return self.request.deadline_s

    @property
    def num_choices(self) -> int:
        """Answers that keep keys and values of their own."""
        return self.request.sampling.num_choices

    def __post_init__(self) -> None:
        self.num_prompt_tokens = self.prompt.tokens.total

    @property
    def num_kv_tokens(self) -> int:
        """Tokens that all choices will probably hold in the end."""
        return self.num_choices * (self.num_prompt_tokens + min(self.max_tokens, ANSWER_TOKENS))

    def new_mask(self) -> TokenMask | None:
        """What one of its answers may draw, from the first token on; ``None`` is everything."""
        return None if self.grammar is None else self.grammar.new_mask()


@dataclass(slots=True, eq=False)
class JudgeJob(Work):
    """Questions about one clip on their way through the engine.

    Attributes:
        prompts: One for each question.
        known_mass: Least likelihood of yes and no together for an answer to be known.
        listener: Called on the device thread once: with all judgements, or with an error.
        deadline_s: When nobody waits any more, on the clock of ``time.monotonic``.
        num_choices: Answers that it writes: none.
        num_prompt_tokens: Tokens to be read, as of one question: the others add little.
    """

    prompts: tuple[Prompt, ...]
    known_mass: float
    listener: JudgeListener
    deadline_s: float = math.inf
    name: str = field(default="judge", init=False)
    work_class: WorkClass = field(default="alert", init=False)
    num_choices: int = field(default=0, init=False)
    num_prompt_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_prompt_tokens = self.prompt.tokens.total

    @property
    def prompt(self) -> Prompt:
        """The longest one."""
        return max(self.prompts, key=lambda prompt: prompt.tokens.total)

    @property
    def num_kv_tokens(self) -> int:
        """Tokens that are held at a time."""
        return self.num_prompt_tokens


AnyJob = Job | JudgeJob
