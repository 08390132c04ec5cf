"""The next token of many sequences, drawn at once; what one of them cannot do is its own matter.

Runs on the device thread. Letters: ``B`` sequences, ``V`` vocabulary.
"""

import logging
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from contracts.errors import ServiceError
from llava_custom.device_memory import is_out_of_memory
from runners.attempts import attempted
from runners.token_choice import choose, likeliest
from runners.token_sampling import DrawnToken, TokenSampler
from runners.token_shaping import shaped

logger = logging.getLogger(__name__)


def draw(samplers: Sequence[TokenSampler], logits: Tensor) -> list[DrawnToken | ServiceError]:
    """Draw, and take nothing yet: the same again gives the same tokens.

    Args:
        samplers: Of the sequences; what they have drawn decides about the next draw.
        logits: float32, shape (B, V), of the model, not modified.

    Returns:
        The token of each sequence, or why it has none.
    """
    try:
        return _drawn(samplers, logits)
    except Exception as exc:
        if len(samplers) == 1 or is_out_of_memory(exc):
            raise
        logger.warning("a draw failed; each choice draws by itself")
    found: list[DrawnToken | ServiceError] = []
    for row, sampler in enumerate(samplers):
        drawn = attempted(partial(_drawn, [sampler], logits[row : row + 1]))
        found += [drawn] if isinstance(drawn, ServiceError) else drawn
    return found


def _drawn(samplers: Sequence[TokenSampler], logits: Tensor) -> list[DrawnToken | ServiceError]:
    if all(sampler.is_greedy for sampler in samplers):
        return list(map(DrawnToken, likeliest(logits).tolist()))
    own, failures = shaped(logits, samplers)
    numbers = [sampler.numbers(logits.shape[-1]) for sampler in samplers]
    token_ids = choose(own, [sampler.params for sampler in samplers], numbers)
    drawn: list[DrawnToken | ServiceError] = list(map(DrawnToken, token_ids))
    asked = [row for row, sampler in enumerate(samplers) if sampler.params.logprobs]
    if asked:
        widths = [samplers[row].params.top_logprobs for row in asked]
        told = _with_logprobs(logits[asked], [token_ids[row] for row in asked], widths)
        for row, token in zip(asked, told, strict=True):
            drawn[row] = token
    for row, failure in failures.items():
        drawn[row] = failure
    return drawn


def _with_logprobs(
    logits: Tensor, token_ids: Sequence[int], widths: Sequence[int]
) -> list[DrawnToken]:
    """Tokens with their log-probabilities and those of so many of the likeliest."""
    logprobs = torch.log_softmax(logits, dim=-1)
    ids = torch.tensor(token_ids, device=logits.device)[:, None]
    own = logprobs.gather(1, ids)[:, 0].tolist()
    values, best = (found.tolist() for found in logprobs.topk(max(widths), dim=-1))
    pairs = [
        tuple(zip(ids[:width], values[:width], strict=True))
        for ids, values, width in zip(best, values, widths, strict=True)
    ]
    return list(map(DrawnToken, token_ids, own, pairs))
