"""What waits for the engine: a request planned, and who listens to what comes of it.

Knows nothing of models. ``cancel`` is safe from any thread.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.errors import ServiceError
from contracts.generation import GenerationRequest, TokenDelta
from llava_custom import Prompt

Listener = Callable[[TokenDelta | ServiceError | None], None]


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way through the engine.

    Attributes:
        listener: Called on the device thread with each delta, then ``None``, or with one error.
        max_tokens: Tokens each choice may have, the context considered.
        submitted_s: On the clock of ``time.monotonic``.
        has_answered: Whether a part of an answer was handed out.
        is_second_try: Whether it ran out of memory once, and began again.
    """

    request: GenerationRequest
    prompt: Prompt
    max_tokens: int
    listener: Listener
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
