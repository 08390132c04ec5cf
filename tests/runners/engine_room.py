"""An engine that turns, and requests to it whose answers are waited for."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from contracts.chat import ChatMessage
from contracts.errors import ServiceError
from contracts.generation import GenerationRequest, SamplingParams, TokenDelta
from runners.caches import Caches
from runners.engine import Engine
from runners.family import ModelFamily
from runners.jobs import Job
from runners.limits import EngineLimits


@dataclass(eq=False)
class Asked:
    """A request, and what came of it."""

    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    items: "queue.Queue[TokenDelta | ServiceError | None]" = field(default_factory=queue.Queue)
    job: Job = field(init=False)

    def submit(self, engine: Engine, model: ModelFamily, *, wait_s: float = 60) -> None:
        request = GenerationRequest("test", self.messages, self.sampling, time.monotonic() + wait_s)
        prompt = model.plan(self.messages)
        self.job = Job(request, prompt, self.sampling.max_tokens, self.items.put)
        engine.submit(self.job)

    def answers(self) -> list[str]:
        """The text of each choice, once all is said.

        Raises:
            ServiceError: The engine's.
        """
        texts = [""] * self.sampling.num_choices
        while (item := self.items.get(timeout=60)) is not None:
            if isinstance(item, ServiceError):
                raise item
            texts[item.choice_index] += item.text
        return texts


@contextmanager
def turning(
    model: ModelFamily,
    limits: EngineLimits | None = None,
    caches: Caches | None = None,
    asked: Sequence[Asked] = (),
) -> Iterator[Engine]:
    """An engine that turns; what is asked waits for it together."""
    engine = Engine(model, limits or EngineLimits(max_waiting=64), caches=caches)
    for one in asked:
        one.submit(engine, model)
    thread = threading.Thread(target=engine.run)
    thread.start()
    try:
        yield engine
    finally:
        engine.close()
        thread.join(30)
        assert not thread.is_alive()


def one_by_one(model: ModelFamily, asked: Sequence[Asked]) -> list[list[str]]:
    found = []
    with turning(model) as engine:
        for one in asked:
            alone = Asked(one.messages, one.sampling)
            alone.submit(engine, model)
            found.append(alone.answers())
    return found
