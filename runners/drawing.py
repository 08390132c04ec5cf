"""The next token of many sequences, drawn at once; what one of them cannot do is its own matter.

Runs on the device thread. Letters: ``B`` sequences, ``V`` vocabulary.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from torch import Tensor

from contracts.errors import RunnerError, ServiceError
from runners.sequence import Sequence as Tokens
from runners.token_choice import choose

logger = logging.getLogger(__name__)

T = TypeVar("T")


def draw(sequences: Sequence[Tokens], logits: Tensor) -> list[int | ServiceError]:
    """Draw, and take nothing yet: the same again gives the same tokens.

    Args:
        sequences: What they are and have said decides about the draw.
        logits: float32, shape (B, V), of the model, not modified.

    Returns:
        The token of each sequence, or why it has none.
    """
    if all(sequence.is_greedy for sequence in sequences):
        found: list[int | ServiceError] = logits.argmax(dim=-1).tolist()
        return found
    shaped, failures = logits, {}
    for index, sequence in enumerate(sequences):
        row = logits[index]
        own = attempted(partial(sequence.shaped, row))
        if isinstance(own, ServiceError):
            failures[index] = own
        elif own is not row:
            shaped = shaped.clone() if shaped is logits else shaped
            shaped[index] = own
    params = [sequence.params for sequence in sequences]
    numbers = [sequence.numbers(logits.shape[-1]) for sequence in sequences]
    token_ids = choose(shaped, params, numbers)
    return [failures.get(index, token_id) for index, token_id in enumerate(token_ids)]


def attempted(step: Callable[[], T]) -> T | ServiceError:
    """What a step of one sequence gives, or why it failed."""
    try:
        return step()
    except ServiceError as exc:
        return exc
    except Exception:
        logger.exception("a sequence failed (server_error)")
        return RunnerError("the engine failed on this request")
