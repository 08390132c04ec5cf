"""Counts an answer while its deltas pass, for runners whose engine does not count itself."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from contracts.generation import TokenDelta
from contracts.work_class import WorkClass
from runners.deadline import within
from runners.engine_meter import EngineMeter


@dataclass(slots=True)
class AnswerMeter:
    """Counts one answer; deltas stand for tokens until the last one tells how many there were.

    Attributes:
        meter: Counts all of them.
        work_class: Whose answer it is.
    """

    meter: EngineMeter
    work_class: WorkClass
    _submitted_s: float = field(default_factory=time.monotonic, init=False)
    _said_s: dict[int, float] = field(default_factory=dict, init=False)
    _num_counted: int = field(default=0, init=False)

    def see(self, delta: TokenDelta) -> None:
        """Take note of the next delta."""
        if delta.text:
            self._count_time(delta.choice_index)
            self._count_tokens(self._num_counted + 1)
        if delta.finish_reason is not None and delta.usage is not None:
            self._count_tokens(delta.usage.completion)
            self.meter.count_prompt(delta.usage.prompt, num_cached=delta.usage.cached)

    def _count_time(self, choice_index: int) -> None:
        now_s, counted = time.monotonic(), self.meter[self.work_class]
        if not self._said_s:
            counted.first_token_s.count(now_s - self._submitted_s)
        elif choice_index in self._said_s:
            counted.token_s.count(now_s - self._said_s[choice_index])
        self._said_s[choice_index] = now_s

    def _count_tokens(self, num_tokens: int) -> None:
        """Count so many of this answer in all, never fewer than before."""
        self.meter[self.work_class].num_generated += max(0, num_tokens - self._num_counted)
        self._num_counted = max(self._num_counted, num_tokens)


async def counted(
    deltas: AsyncGenerator[TokenDelta, None], meter: AnswerMeter, *, deadline_s: float
) -> AsyncGenerator[TokenDelta, None]:
    """The deltas, each counted, while there is time; closes them in any case.

    Raises:
        RequestTimeout: The deadline, on ``time.monotonic``, passed.
    """
    async with aclosing(deltas):
        while True:
            async with within(deadline_s):
                delta = await anext(deltas, None)
            if delta is None:
                return
            meter.see(delta)
            yield delta
