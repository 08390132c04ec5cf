"""What one choice makes of its logits before a token is drawn, and what it remembers of the draw.

Knows nothing of text or requests beyond ``SamplingParams``. A draw depends on the logits, the
tokens so far, the seed and the choice's number, and on nothing else. Draws of many choices are made
at once: see ``token_choice``.
"""

import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from contracts.generation import SamplingParams
from runners.token_choice import Numbers, choose
from runners.token_masks import TokenMask


@dataclass(frozen=True, slots=True)
class DrawnToken:
    """A chosen token; log-probabilities of the raw distribution where they were asked for."""

    token_id: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class TokenSampler:
    """The draws of one choice, in order.

    Args:
        params: How to draw.
        choice_index: Which choice of the request this is: each has its own random numbers.
        end_token_ids: Tokens that may not be drawn before ``params.min_tokens``.
        mask: What else may not be drawn.
    """

    params: SamplingParams
    choice_index: int
    end_token_ids: Collection[int]
    mask: TokenMask | None = None
    _random: np.random.Generator = field(init=False)
    _numbers: Numbers | None = field(default=None, init=False)
    _counts: Counter[int] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        seed = secrets.randbits(63) if self.params.seed is None else self.params.seed
        self._random = np.random.Generator(np.random.SFC64(_mix(seed, self.choice_index)))

    def numbers(self, vocab_size: int) -> Numbers | None:
        """The random numbers of the next draw, (V,), the same until it is taken; none if greedy."""
        if self._numbers is None and self.params.temperature > 0:
            self._numbers = self._random.standard_exponential(vocab_size, np.float32)
        return self._numbers

    @property
    def is_greedy(self) -> bool:
        """Whether a draw is the likeliest token and no more, and leaves nothing to remember."""
        params = self.params
        has_penalty = (
            params.frequency_penalty or params.presence_penalty or params.repetition_penalty != 1
        )
        if params.temperature or params.logprobs or has_penalty or params.logit_bias or self.mask:
            return False
        return self._counts.total() >= params.min_tokens

    def draw(self, logits: Tensor) -> DrawnToken:
        """Choose the next token by itself.

        Args:
            logits: float32, shape (V,), of the model, not modified.
        """
        (token_id,) = choose(self.shaped(logits)[None], [self.params], [self.numbers(len(logits))])
        return self.take(token_id, logits)

    def take(self, token_id: int, logits: Tensor) -> DrawnToken:
        """Remember the token that was chosen.

        Args:
            token_id: The next one.
            logits: Of the model, as for ``shaped``.
        """
        self._numbers = None
        self._counts[token_id] += 1
        if self.mask is not None:
            self.mask.accept(token_id)
        if not self.params.logprobs:
            return DrawnToken(token_id)
        logprobs = torch.log_softmax(logits, dim=-1)
        values, ids = logprobs.topk(self.params.top_logprobs)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        return DrawnToken(token_id, float(logprobs[token_id]), top)

    def shaped(self, logits: Tensor) -> Tensor:
        """The logits (V,) after penalties, bias, the mask and the ban on early ends."""
        params = self.params
        bans_end = self._counts.total() < params.min_tokens
        penalises = self._counts and (
            params.frequency_penalty or params.presence_penalty or params.repetition_penalty != 1
        )
        if not (bans_end or penalises or params.logit_bias or self.mask):
            return logits
        logits = logits.clone()
        if penalises:
            _penalise(logits, self._counts, params)
        for token_id, bias in params.logit_bias.items():
            logits[token_id] += bias
        if self.mask is not None:
            logits = self.mask.apply(logits)
        return self._without_end(logits) if bans_end else logits

    def _without_end(self, logits: Tensor) -> Tensor:
        """The logits without those of end tokens, unless a mask allows nothing else."""
        end_ids = torch.tensor(list(self.end_token_ids), device=logits.device)
        others = logits.index_fill(0, end_ids, -torch.inf)
        return logits if self.mask and bool(others.isneginf().all()) else others


def _mix(seed: int, choice_index: int) -> int:
    """A seed of 63 bits for a choice; neighbours are far apart (the golden ratio's bits)."""
    return (seed + choice_index * 0x9E3779B97F4A7C15) & (2**63 - 1)


def _penalise(logits: Tensor, counts: Counter[int], params: SamplingParams) -> None:
    """Lower used tokens in place.

    Source: the formulas of the OpenAI reference (frequency, presence) and of CTRL, section 4.1
    (repetition: negative logits are multiplied).
    """
    ids = torch.tensor(list(counts), device=logits.device)
    uses = torch.tensor(list(counts.values()), device=logits.device, dtype=logits.dtype)
    used = logits[ids]
    used = torch.where(used > 0, used / params.repetition_penalty, used * params.repetition_penalty)
    logits[ids] = used - uses * params.frequency_penalty - params.presence_penalty
