"""A decode step of ``LeanLayers`` in pieces of a few fixed sizes, which a GPU replays as one.

On a fast GPU a step of a small batch waits for the host: a layer is some twenty kernels, each
launched from Python. Between two attentions nothing depends on anything but the number of rows, so
that is recorded once for each of some sizes, on buffers that stay where they are: [embed, place,
project for layer 0], [finish layer 0, project for layer 1], ..., [finish the last layer].
Attention, whose keys and values grow, stays between the pieces, on the first ``B`` rows. The rows
behind are padding: computed with the others and read by nobody.

Who records is an argument: ``cuda_recorder`` on CUDA, ``unrecorded`` elsewhere. Belongs to the
thread that owns the device. Letters: ``B`` rows, ``R`` rows of the buffers, ``D`` hidden size,
``H`` heads, ``W`` width of a head.

Source: vLLM's piecewise CUDA graphs (docs.vllm.ai, design/cuda_graphs), which are cut at attention
likewise.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from llava_custom.lean_layers import LeanLayer, LeanLayers, Rotation, TokenStep

# Of rows: padding is at most half of a step, and from 16 on a third, where products begin to cost.
SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)

Piece = Callable[[], None]
Recorder = Callable[[Piece], Piece]


def unrecorded(piece: Piece) -> Piece:
    """The piece itself, where there is nothing to record with."""
    return piece


def sizes_up_to(max_rows: int) -> tuple[int, ...]:
    """Numbers of rows that are recorded where a batch has at most so many, at least 1."""
    below = SIZES[: bisect_left(SIZES, max_rows)]
    return (*below, max_rows) if max_rows <= SIZES[-1] else below


@dataclass(frozen=True, slots=True, eq=False)
class StepBuffers:
    """What a piece leaves to attention and to the next piece.

    Attributes:
        token_ids: int64, (R,).
        positions: Likewise.
        cosine: (R, 1, W).
        sine: Likewise; see ``Rotation``.
        hidden: (R, D).
        query: (R, H, W).
        key: (R, heads of keys, W).
        value: Likewise.
        seen: By attention, (R, H * W).
    """

    token_ids: Tensor
    positions: Tensor
    cosine: Tensor
    sine: Tensor
    hidden: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    seen: Tensor

    @classmethod
    def of(cls, layers: LeanLayers, num_rows: int, device: torch.device) -> Self:
        """For so many rows, in the shapes and types that the layers give."""
        ids = torch.zeros(num_rows, dtype=torch.int64, device=device)
        hidden, rotation = layers.begin(ids, ids)
        query, key, value = layers.layers[0].project(hidden, rotation)
        seen = query.flatten(1)
        given = (ids, ids, rotation.cosine, rotation.sine, hidden, query, key, value, seen)
        contiguous = torch.contiguous_format  # attention takes views of them
        return cls(*(torch.zeros_like(one, memory_format=contiguous) for one in given))

    def rows(self, num_rows: int) -> Self:
        """The first rows, in the same memory."""
        return type(self)(*(getattr(self, one.name)[:num_rows] for one in fields(self)))

    def begin(self, layers: LeanLayers) -> None:
        """From tokens to what the first layer's attention takes."""
        hidden, rotation = layers.begin(self.token_ids, self.positions)
        _copy((self.cosine, self.sine), (rotation.cosine, rotation.sine))
        self._project(layers.layers[0], hidden)

    def go_on(self, layer: LeanLayer, following: LeanLayer) -> None:
        """From what a layer's attention saw to what the next one's takes."""
        self._project(following, layer.finish(self.hidden, self.seen))

    def end(self, layer: LeanLayer) -> None:
        """From what the last layer's attention saw to what comes out of it."""
        self.hidden.copy_(layer.finish(self.hidden, self.seen))

    def _project(self, layer: LeanLayer, hidden: Tensor) -> None:
        made = layer.project(hidden, Rotation(self.cosine, self.sine))
        _copy((self.hidden, self.query, self.key, self.value), (hidden, *made))


class StepGraphs:
    """A step's pieces in every size; in the place of ``layers``, whose outputs it has.

    Args:
        layers: Recorded as they are now: their weights stay where they are from here on.
        max_rows: Of a batch; larger ones are computed by ``layers``, as are those above 256.
        device: Of the layers.
        record: Given every piece once, those of the largest size first.

    Attributes:
        layers: As given.
        sizes: Numbers of rows that there are pieces for, the smallest first.
    """

    @torch.inference_mode()
    def __init__(
        self, layers: LeanLayers, max_rows: int, device: torch.device, record: Recorder
    ) -> None:
        self.layers = layers
        self.sizes = sizes_up_to(max_rows)
        self._buffers = StepBuffers.of(layers, self.sizes[-1], device)
        self._pieces: dict[int, Sequence[Piece]] = {}
        for size in reversed(self.sizes):  # what the largest needs is memory for the others
            self._pieces[size] = [record(piece) for piece in self._pieces_of(size)]

    def keep(self, sizes: Sequence[int]) -> None:
        """Forget the pieces of other sizes; ``layers`` compute those."""
        self._pieces = {size: self._pieces[size] for size in sizes}

    def size_for(self, num_rows: int) -> int | None:
        """The size in which so many rows are computed; ``None``: by ``layers``."""
        index = bisect_left(self.sizes, num_rows)
        size = self.sizes[index] if index < len(self.sizes) else None
        return size if size in self._pieces else None

    def __call__(self, token_ids: Tensor, positions: Tensor, step: TokenStep) -> Tensor:
        """Read one token (B,), at its position (B,), of each row; (B, D)."""
        size = self.size_for(len(token_ids))
        if size is None:
            return self.layers(token_ids, positions, step)
        at = self._buffers.rows(len(token_ids))
        _copy((at.token_ids, at.positions), (token_ids, positions))
        query, key, value = at.query[:, :, None], at.key[:, :, None], at.value[:, :, None]
        begin, *others = self._pieces[size]
        begin()
        for layer, piece in zip(self.layers.layers, others, strict=True):
            written, _ = step.update(key, value, layer.index)
            at.seen.copy_(written.attend(query, layer.scaling).flatten(1))
            piece()
        return self.layers.norm(at.hidden)  # a tensor of its own: the next step leaves it alone

    def _pieces_of(self, size: int) -> Iterator[Piece]:
        at, layers = self._buffers.rows(size), self.layers.layers
        yield partial(at.begin, self.layers)
        for layer, following in pairwise(layers):
            yield partial(at.go_on, layer, following)
        yield partial(at.end, layers[-1])


def _copy(into: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> None:
    """Copy tensors in one launch."""
    torch._foreach_copy_(into, given)
