"""Logits to a token: penalties, truncation of the distribution, the draw.

Knows nothing of text or requests beyond ``SamplingParams``. A draw depends on the logits, the
tokens so far, the seed and the choice's number, and on nothing else.
"""

import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor

from contracts.generation import SamplingParams
from runners.token_masks import TokenMask

LEAST_TEMPERATURE = 1e-6  # below it, dividing by it would leave float32
LARGEST_LOGIT = 1e30


@dataclass(frozen=True, slots=True)
class DrawnToken:
    """A chosen token; log-probabilities of the raw distribution where they were asked for."""

    token_id: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class TokenSampler:
    """Draws the tokens of one choice, in order.

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
    _generator: torch.Generator = field(init=False)
    _counts: Counter[int] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        seed = secrets.randbits(63) if self.params.seed is None else self.params.seed
        self._generator = torch.Generator().manual_seed(_mix(seed, self.choice_index))

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
        """Choose the next token.

        Args:
            logits: float32, shape (V,), of the model, not modified.
        """
        token_id = self._choose(self._shaped(logits))
        self._counts[token_id] += 1
        if self.mask is not None:
            self.mask.accept(token_id)
        if not self.params.logprobs:
            return DrawnToken(token_id)
        logprobs = torch.log_softmax(logits, dim=-1)
        values, ids = logprobs.topk(self.params.top_logprobs)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        return DrawnToken(token_id, float(logprobs[token_id]), top)

    def _shaped(self, logits: Tensor) -> Tensor:
        """The logits after penalties, bias, the mask and the ban on early ends; (V,)."""
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

    def _choose(self, logits: Tensor) -> int:
        params = self.params
        if params.temperature == 0:
            return int(logits.argmax())
        finite = logits.cpu().clamp(max=LARGEST_LOGIT)  # a tiny repetition penalty makes infinities
        probs = torch.softmax(finite / max(params.temperature, LEAST_TEMPERATURE), dim=-1)
        probs = _truncate(probs, params)
        return int(torch.multinomial(probs, 1, generator=self._generator))


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


def _truncate(probs: Tensor, params: SamplingParams) -> Tensor:
    """Zero what top_k, min_p and top_p leave out; at least the likeliest token stays; (V,)."""
    if params.min_p > 0:
        probs = probs.where(probs >= params.min_p * probs.max(), 0)
    if params.top_k > 0 or params.top_p < 1:
        ordered, ids = probs.sort(descending=True)
        if params.top_k > 0:
            ordered[params.top_k :] = 0
        if params.top_p < 1:
            before = ordered.cumsum(0) - ordered  # mass of the likelier ones
            ordered[before >= params.top_p * ordered.sum()] = 0
        probs = torch.zeros_like(probs).scatter(0, ids, ordered)
    return probs
