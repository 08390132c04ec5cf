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
LEAST_NUMBER = 1e-30  # numbers may be 0
BLOCK_SIZE = 1 << 18  # probabilities that a processor's cache holds several times over

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
    rows = [index for index, one in enumerate(params) if one.temperature > 0]
    if len(rows) == len(params):
        return _drawn(logits, params, numbers)
    chosen: list[int] = likeliest(logits).tolist()
    if rows:
        asked, own = [params[row] for row in rows], [numbers[row] for row in rows]
        for row, token_id in zip(rows, _drawn(logits[rows], asked, own), strict=True):
            chosen[row] = token_id
    return chosen


def likeliest(scores: Tensor) -> Tensor:
    """Where each row, (B, V), is largest; int64, shape (B,)."""
    if scores.device.type == "cpu":  # NumPy's is many times as fast
        return torch.from_numpy(scores.numpy().argmax(axis=-1))
    return scores.argmax(dim=-1)


def _drawn(
    logits: Tensor, params: Sequence[SamplingParams], numbers: Sequence[Numbers | None]
) -> list[int]:
    """A token for each row, none of which is greedy."""
    some = [own for own in numbers if own is not None]
    step = max(1, BLOCK_SIZE // logits.shape[-1]) if logits.device.type == "cpu" else len(params)
    chosen: list[int] = []
    for start in range(0, len(params), step):
        block = slice(start, start + step)
        own = torch.from_numpy(np.stack(some[block]))
        chosen += _draw(logits[block], params[block], own.to(logits.device)).tolist()
    return chosen


def _draw(logits: Tensor, params: Sequence[SamplingParams], numbers: Tensor) -> Tensor:
    if any(one.temperature != 1 for one in params):
        temperatures = [max(one.temperature, LEAST_TEMPERATURE) for one in params]
        logits = logits / _column(temperatures, logits)
    probs = torch.softmax(logits, dim=-1)
    if any(one.min_p > 0 for one in params):
        floors = _column([one.min_p for one in params], logits) * probs.amax(dim=-1, keepdim=True)
        probs = probs.where(probs >= floors, 0)
    _keep_likeliest(probs, params)
    speeds = probs / numbers.clamp_(min=LEAST_NUMBER)
    winners = likeliest(speeds)
    if any(one.top_p < 1 for one in params):
        _run_again(winners, speeds, probs, params)
    return winners


def _keep_likeliest(probs: Tensor, params: Sequence[SamplingParams]) -> None:
    """Leave in what ``top_k`` does, in place."""
    vocab_size = probs.shape[-1]
    rows = [row for row, one in enumerate(params) if 0 < one.top_k < vocab_size]
    if rows:
        most = torch.tensor([params[row].top_k for row in rows], device=probs.device)[:, None]
        some = probs if len(rows) == len(probs) else probs[rows]
        best = some.topk(int(max(params[row].top_k for row in rows)), dim=-1).values
        probs[rows] = some.where(some >= best.gather(1, most - 1), 0)


def _run_again(
    winners: Tensor, speeds: Tensor, probs: Tensor, params: Sequence[SamplingParams]
) -> None:
    """Replace winners that ``top_p`` leaves out by the fastest that it leaves in.

    It leaves a token out when those that are likelier have the share together. Then those that are
    less likely are out as well, so each time round all of them go: nothing has to be sorted.
    """
    shares = _column([one.top_p if one.top_p < 1 else torch.inf for one in params], probs)
    wanted = shares * probs.sum(dim=-1, keepdim=True)
    rows, fastest = torch.arange(len(probs), device=probs.device), winners
    while True:
        edges = probs.gather(1, fastest[:, None])
        is_likelier = (probs - edges).sign_().clamp_(min=0)  # faster than booleans on CPUs
        ahead = (probs * is_likelier).sum(dim=-1, keepdim=True)
        out = ((ahead >= wanted) & (ahead > 0))[:, 0].nonzero()[:, 0]
        if not len(out):
            return
        rows, probs, wanted = rows[out], probs[out], wanted[out]
        speeds = speeds[out] * is_likelier[out]
        winners[rows] = fastest = likeliest(speeds)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    """One value a row, float32, shape (B, 1)."""
    return torch.tensor(values, dtype=torch.float32, device=like.device)[:, None]
