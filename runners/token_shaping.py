"""What penalties, bias, masks and the ban on early ends make of logits before a token is chosen.

For all rows at once; only masks are asked row by row. Letters: ``B`` rows, ``V`` vocabulary, ``N``
tokens of some rows.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from contracts.errors import ServiceError
from runners.attempts import attempted
from runners.token_masks import TokenMask
from runners.token_sampling import TokenSampler

LARGEST_LOGIT = 1e30  # a tiny repetition penalty makes infinities

Row = tuple[int, TokenSampler]


def shaped(
    logits: Tensor, samplers: Sequence[TokenSampler]
) -> tuple[Tensor, dict[int, ServiceError]]:
    """The logits that tokens are chosen by.

    Args:
        logits: float32, shape (B, V), of the model, not modified.
        samplers: Of the rows.

    Returns:
        float32, shape (B, V), the same tensor where nothing shapes it; and why rows have none.
    """
    rows = [row for row in enumerate(samplers) if row[1].is_shaping]
    if not rows:
        return logits, {}
    logits = logits.clone()
    _penalise(logits, [row for row in rows if row[1].counts])
    _add_bias(logits, [row for row in rows if row[1].params.logit_bias])
    failures = _apply_masks(logits, rows)
    _ban_ends(logits, [row for row in rows if row[1].bans_end and not row[1].mask])
    return logits, failures


def _penalise(logits: Tensor, rows: Sequence[Row]) -> None:
    """Lower used tokens in place.

    Source: the formulas of the OpenAI reference (frequency, presence) and of CTRL, section 4.1
    (repetition: negative logits are multiplied).
    """
    if not rows:
        return
    counts, params = [one.counts for _, one in rows], [one.params for _, one in rows]
    at = _places(rows, counts, logits)
    uses = np.concatenate([np.fromiter(one.values(), np.float32, len(one)) for one in counts])
    frequency = np.array([one.frequency_penalty for one in params], np.float32)
    presence = np.array([one.presence_penalty for one in params], np.float32)
    repetition = np.array([one.repetition_penalty for one in params], np.float32)
    lengths = list(map(len, counts))
    falls = uses * np.repeat(frequency, lengths) + np.repeat(presence, lengths)
    factors = torch.from_numpy(np.repeat(repetition, lengths)).to(logits.device)
    used = logits[at]
    used = torch.where(used > 0, used / factors, used * factors)
    logits[at] = (used - torch.from_numpy(falls).to(logits.device)).clamp_(max=LARGEST_LOGIT)


def _add_bias(logits: Tensor, rows: Sequence[Row]) -> None:
    if rows:
        biases = [one.params.logit_bias for _, one in rows]
        at = _places(rows, biases, logits)
        logits[at] += torch.tensor([value for one in biases for value in one.values()]).to(logits)


def _apply_masks(logits: Tensor, rows: Sequence[Row]) -> dict[int, ServiceError]:
    failures = {}
    for row, sampler in rows:
        if sampler.mask is not None:
            allowed = attempted(partial(_allowed, logits[row], sampler, sampler.mask))
            if isinstance(allowed, ServiceError):
                failures[row] = allowed
            else:
                logits[row] = allowed
    return failures


def _allowed(logits: Tensor, sampler: TokenSampler, mask: TokenMask) -> Tensor:
    """The logits (V,) that a mask lets through; end tokens, too, where it lets nothing else."""
    allowed = mask.apply(logits)
    if not sampler.bans_end:
        return allowed
    end_ids = torch.tensor(list(sampler.end_token_ids), device=logits.device)
    others = allowed.index_fill(0, end_ids, -torch.inf)
    return allowed if bool(others.isneginf().all()) else others


def _ban_ends(logits: Tensor, rows: Sequence[Row]) -> None:
    if rows:
        logits[_places(rows, [one.end_token_ids for _, one in rows], logits)] = -torch.inf


def _places(
    rows: Iterable[Row], token_ids: Iterable[Collection[int]], logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Where tokens of rows are in the logits: rows and ids, each int64, shape (N,)."""
    asked = [(row, ids) for (row, _), ids in zip(rows, token_ids, strict=True)]
    numbers = np.repeat([row for row, _ in asked], [len(ids) for _, ids in asked])
    found = np.concatenate([np.fromiter(ids, np.int64, len(ids)) for _, ids in asked])
    return torch.from_numpy(numbers).to(logits.device), torch.from_numpy(found).to(logits.device)
