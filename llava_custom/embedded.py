"""A prompt as a language model reads it: embeddings, and the position of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A prompt, or a stretch of one, ready to be read.

    Attributes:
        inputs_embeds: Shape (B, T, D), on the device; all rows stand at the same positions.
        positions: For the rotary embedding; int64, shape (A, T), on the CPU. A is 1, or more where
            a family tells time, rows and columns apart; text stands at one position on all axes.
    """

    inputs_embeds: Tensor
    positions: Tensor

    @classmethod
    def in_order(cls, inputs_embeds: Tensor) -> Self:
        """A prompt whose tokens (B, T, D) stand one after the other, from 0."""
        return cls(inputs_embeds, torch.arange(inputs_embeds.shape[1])[None])

    def __len__(self) -> int:
        """Tokens ``T``."""
        return self.positions.shape[1]

    @property
    def next_position(self) -> int:
        """Where the first token of the answer stands."""
        return int(self.positions[0, -1]) + 1

    def split(self, max_tokens: int) -> Iterator[Self]:
        """Stretches of at most so many tokens, in order."""
        start = 0
        while start < len(self):
            stop = self.end_of_stretch(start, max_tokens)
            yield self.stretch(start, stop)
            start = stop

    def stretch(self, start: int, stop: int) -> Self:
        """The tokens from one to before another."""
        embeds, positions = self.inputs_embeds[:, start:stop], self.positions[:, start:stop]
        return replace(self, inputs_embeds=embeds, positions=positions)

    def end_of_stretch(self, start: int, max_tokens: int) -> int:
        """Where a stretch that begins there ends."""
        return min(start + max_tokens, len(self))
