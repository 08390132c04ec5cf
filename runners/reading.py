"""A job whose prompt is being read, and what comes of it; see ``Reader``.

A reading is a generator: it yields after every piece, so that others can go on in between, or a
rest of its prompt, to be sent the logits after that; so rests of several prompts can be read in one
pass. What it returns is what was read. Closing it ends the work.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor
from transformers import DynamicCache

from contracts.judging import Judgement
from llava_custom import Embedded
from llava_custom.lean_reading import Stretch
from runners.jobs import AnyJob

T = TypeVar("T")
Pieces = Generator[Stretch | None, Tensor | None, T]


@dataclass(frozen=True, slots=True, eq=False)
class ReadPrompt:
    """A prompt that was read.

    Attributes:
        logits: After it, float32, shape (1, V).
        kv_cache: Its keys and values.
        next_position: Where the answer begins.
    """

    logits: Tensor
    kv_cache: DynamicCache
    next_position: int


@dataclass(frozen=True, slots=True, eq=False)
class BegunPrompt:
    """A prompt of which nothing was read yet that had to be.

    Attributes:
        embedded: All of it.
        kv_cache: Keys and values of what is known.
        num_known: How many tokens those are, from the beginning.
    """

    embedded: Embedded
    kv_cache: DynamicCache
    num_known: int


@dataclass(slots=True, eq=False)
class Reading:
    """A job whose prompt is being read.

    Attributes:
        job: Whose prompt it is.
        begun_s: When the first piece was begun.
        encoded_s: When the pictures were done.
        busy_s: Seconds of all its pieces.
        num_known: Tokens of the prompt whose keys and values were kept.
        num_cached: Those, and visual ones that were seen before: they were not computed again.
        rest: Of its prompt, to be read next; ``None`` while something else comes first.
        is_apart: Whether it is read in passes of its own.
        outcome: What was read; ``None`` before it is all.
    """

    job: AnyJob
    begun_s: float
    encoded_s: float
    busy_s: float = 0.0
    num_known: int = 0
    num_cached: int = 0
    rest: Stretch | None = None
    is_apart: bool = False
    outcome: "ReadPrompt | list[Judgement] | None" = None
    pieces: "Pieces[ReadPrompt | list[Judgement]]" = field(init=False)

    @property
    def is_done(self) -> bool:
        """Whether all was read."""
        return self.outcome is not None
