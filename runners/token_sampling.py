"""What one choice asks of its draws, and what it remembers of them.

Knows nothing of text or requests beyond ``SamplingParams``. A draw depends on the logits, the
tokens so far, the seed and the choice's number, and on nothing else. Draws of many choices are made
at once: see ``drawing``.
"""

import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from contracts.generation import SamplingParams
from runners.token_choice import Numbers
from runners.token_masks import TokenMask


class DrawnToken(NamedTuple):
    """A chosen token; log-probabilities of the raw distribution where they were asked for."""

    token_id: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True, eq=False)
class TokenSampler:
    """The draws of one choice, in order.

    Args:
        params: How to draw.
        choice_index: Which choice of the request this is: each has its own random numbers.
        end_token_ids: Tokens that may not be drawn before ``params.min_tokens``.
        mask: What else may not be drawn.

    Attributes:
        counts: How often each token was taken; kept only where used tokens are penalised.
    """

    params: SamplingParams
    choice_index: int
    end_token_ids: Collection[int]
    mask: TokenMask | None = None
    counts: Counter[int] = field(default_factory=Counter, init=False)
    _random: np.random.Generator = field(init=False)
    _numbers: Numbers | None = field(default=None, init=False)
    _num_taken: int = field(default=0, init=False)
    _has_penalty: bool = field(init=False)
    _is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        params = self.params
        seed = secrets.randbits(63) if params.seed is None else params.seed
        self._random = np.random.Generator(np.random.SFC64(_mix(seed, self.choice_index)))
        self._has_penalty = bool(
            params.frequency_penalty or params.presence_penalty or params.repetition_penalty != 1
        )
        self._is_plain = not (self._has_penalty or params.logit_bias or self.mask)

    def numbers(self, vocab_size: int) -> Numbers | None:
        """The random numbers of the next draw, (V,), the same until it is taken; none if greedy."""
        if self._numbers is None and self.params.temperature > 0:
            self._numbers = self._random.standard_exponential(vocab_size, np.float32)
        return self._numbers

    @property
    def is_greedy(self) -> bool:
        """Whether a draw is the likeliest token by the model's own logits, and no more is asked."""
        params = self.params
        return not (params.temperature or params.logprobs or self.is_shaping)

    @property
    def is_shaping(self) -> bool:
        """Whether the next draw is not by the model's own logits."""
        return not self._is_plain or self._num_taken < self.params.min_tokens

    @property
    def bans_end(self) -> bool:
        """Whether the next draw may not end the answer."""
        return self._num_taken < self.params.min_tokens

    def take(self, token_id: int) -> None:
        """Remember the token that was drawn."""
        self._numbers = None
        self._num_taken += 1
        if self._has_penalty:
            self.counts[token_id] += 1
        if self.mask is not None:
            self.mask.accept(token_id)


def _mix(seed: int, choice_index: int) -> int:
    """A seed of 63 bits for a choice; neighbours are far apart (the golden ratio's bits)."""
    return (seed + choice_index * 0x9E3779B97F4A7C15) & (2**63 - 1)
