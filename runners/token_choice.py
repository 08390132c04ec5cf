"""Scores of many rows to a token each, at once and where the scores are.

A row's token depends on its scores, its parameters and its random numbers, and on nothing else.
Every token has a number, and the one that is likeliest for its number wins: scores that differ in
rounding, as in a batch of another size, almost never make another winner, as they would where one
number is looked up in summed probabilities. Of tokens that are equally likely at the edge of a
truncation all stay. Letters: ``B`` rows, ``V`` vocabulary.

Source of the race: section 2 of Efraimidis and Spirakis, "Weighted random sampling with a
reservoir", with exponential numbers.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from contracts.generation import SamplingParams

LEAST_TEMPERATURE = 1e-6  # below it, dividing by it would leave float32
LARGEST_LOGIT = 1e30  # a tiny repetition penalty makes infinities
LEAST_NUMBER = 1e-30  # numbers may be 0
NUM_LIKELIEST = 256  # that are sorted first; more only where they are not enough

Numbers = npt.NDArray[np.float32]


def choose(
    logits: Tensor, params: Sequence[SamplingParams], numbers: Sequence[Numbers | None]
) -> list[int]:
    """Choose a token for each row.

    Args:
        logits: float32, shape (B, V), not modified; minus infinity where a token may not be drawn.
        params: Of each row.
        numbers: Exponentially distributed ones of each row, float32, shape (V,), on the CPU; not
            looked at where it is greedy.
    """
    token_ids = logits.argmax(dim=-1)
    rows = [index for index, one in enumerate(params) if one.temperature > 0]
    if rows:
        some = logits if len(rows) == len(params) else logits[rows]
        asked = [params[row] for row in rows]
        drawn = [own for row in rows if (own := numbers[row]) is not None]
        token_ids[rows] = _draw(some, asked, torch.from_numpy(np.stack(drawn)))
    found: list[int] = token_ids.tolist()
    return found


def _draw(logits: Tensor, params: Sequence[SamplingParams], numbers: Tensor) -> Tensor:
    temperatures = _column([max(one.temperature, LEAST_TEMPERATURE) for one in params], logits)
    probs = torch.softmax(logits.clamp(max=LARGEST_LOGIT) / temperatures, dim=-1)
    if any(one.min_p > 0 for one in params):
        floors = _column([one.min_p for one in params], logits) * probs.amax(dim=-1, keepdim=True)
        probs = probs.where(probs >= floors, 0)
    if any(one.top_k > 0 or one.top_p < 1 for one in params):
        probs = probs.where(probs >= _least_kept(probs, params), 0)
    return (probs / numbers.to(logits.device).clamp_(min=LEAST_NUMBER)).argmax(dim=-1)


def _least_kept(probs: Tensor, params: Sequence[SamplingParams]) -> Tensor:
    """The probability of the least likely token that top_k and top_p leave in; (B, 1)."""
    vocab_size = probs.shape[-1]
    most = _column([one.top_k or vocab_size for one in params], probs)
    shares = _column([one.top_p for one in params], probs)
    width = min(vocab_size, max(NUM_LIKELIEST, *(one.top_k for one in params)))
    while True:
        likeliest = probs.topk(width, dim=-1).values  # (B, width), falling
        is_among = torch.arange(width, device=probs.device) < most
        likeliest = likeliest.where(is_among, 0)
        total = torch.where(most < vocab_size, likeliest.sum(-1, True), probs.sum(-1, True))
        ahead = likeliest.cumsum(dim=-1) - likeliest  # mass of the likelier ones
        is_kept = is_among & ((ahead < shares * total) | (shares >= 1))
        reaches_on = is_kept[:, -1:] & (most > width) & (shares < 1)
        if width == vocab_size or not bool(reaches_on.any()):
            break
        width = min(vocab_size, 16 * width)
    last = is_kept.sum(dim=-1, keepdim=True) - 1
    keeps_all = (shares >= 1) & (most >= vocab_size)
    return likeliest.gather(1, last.clamp_(min=0)).masked_fill(keeps_all, 0)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    """One value a row, float32, shape (B, 1)."""
    return torch.tensor(values, dtype=torch.float32, device=like.device)[:, None]
