"""A prompt as a language model reads it: embeddings, and the position of each."""

from collections.abc import Iterator
from dataclasses import dataclass

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
    def in_order(cls, inputs_embeds: Tensor) -> "Embedded":
        """A prompt whose tokens (B, T, D) stand one after the other, from 0."""
        return cls(inputs_embeds, torch.arange(inputs_embeds.shape[1])[None])

    @property
    def next_position(self) -> int:
        """Where the first token of the answer stands."""
        return int(self.positions[0, -1]) + 1

    def split(self, max_tokens: int) -> Iterator["Embedded"]:
        """Stretches of at most so many tokens, in order."""
        embeds = torch.split(self.inputs_embeds, max_tokens, dim=1)
        positions = torch.split(self.positions, max_tokens, dim=1)
        for stretch in zip(embeds, positions, strict=True):
            yield Embedded(*stretch)
