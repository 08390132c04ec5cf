"""What tells the tokens of prompts apart, so that beginnings can be compared."""

import hashlib
import secrets
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from llava_custom.prompt import Prompt, Visual

SECRET = secrets.token_bytes(32)  # nobody can look for two visuals that are numbered alike

Symbols = npt.NDArray[np.int64]


def symbols_of(prompt: Prompt) -> Symbols:
    """A number for each token: ids of text, and of a visual numbers that only its like has."""
    runs = [
        _number(segment.identity) + np.arange(segment.num_tokens)
        if isinstance(segment, Visual)
        else np.array(segment, np.int64)
        for segment in prompt.segments
    ]
    return np.concatenate(runs) if runs else np.empty(0, np.int64)


def num_common(left: Symbols, right: Symbols) -> int:
    """With how many symbols both begin."""
    length = min(len(left), len(right))
    differing = np.flatnonzero(left[:length] != right[:length])
    return int(differing[0]) if len(differing) else length


def _number(identity: Hashable) -> int:
    """A number far above any token's id, of 61 bits that nobody can foresee."""
    digest = hashlib.blake2b(repr(identity).encode(), key=SECRET, digest_size=8).digest()
    return (1 << 61) + (int.from_bytes(digest) >> 3)
