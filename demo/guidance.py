"""Where attention should look while the language model is taught: a loss on a few heads.

What a clip says takes two comparisons: of an object with itself in earlier frames, and of a
question with the objects. Left alone, a small model finds neither for
thousands of steps; shown where to look, it learns them in a few hundred. Nothing of this is part
of the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from demo.packing import Trace

BACK_IN_TIME = (0, 0)  # layer and head: an object looks at itself in earlier frames
AT_FRAME = ((0, 2), (2, 0))  # the end of a frame looks at the objects in the frame
AT_ENDS = (1, 2)  # the end of a frame looks at the ends of earlier frames
AT_NAME = ((1, 0), (2, 2))  # later words look at the word that names colour, kind
AT_COLOUR = ((3, 0), (4, 2))  # words about a colour look at the object that has it
AT_KIND = ((3, 2), (4, 0))  # words about a kind look at such objects, of the colour if one is said
AT_SUMMARY = ((5, 1), (5, 3))  # every word looks at the end of the last frame
# Where there is no such object, both look at the end of the last frame: that is how "No" is told.


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands where in the prefixes and the questions of a batch.

    ``colour``, ``kind`` and ``frame`` are int64 (B, P): of the object a token covers, from 1,
    and the frame it belongs to, -1 for text. ``is_end`` marks the last token of a frame,
    ``is_latest`` the tokens of each colour's last frame. ``said_colour`` and ``said_kind`` are
    int64 (B, K * S): what the words are about, 0 for none; ``names`` are for colour and kind the
    places in its own segment, int64 (B, K * S), of the word that says so.
    """

    colour: Tensor
    kind: Tensor
    frame: Tensor
    is_end: Tensor
    is_latest: Tensor
    said_colour: Tensor
    said_kind: Tensor
    names: tuple[Tensor, Tensor]


def guidance_loss(marks: Marks, trace: Trace) -> Tensor:
    """Mean surprise of the guided heads at where they should look."""
    colour, frame = marks.colour, marks.frame
    is_before = (frame[:, None, :] < frame[:, :, None]) & (frame[:, None, :] >= 0)
    is_same = (colour[:, :, None] == colour[:, None, :]) & (colour[:, :, None] > 0)
    is_here = (frame[:, :, None] == frame[:, None, :]) & (colour[:, None, :] > 0)
    is_end = marks.is_end
    said_colour, said_kind = marks.said_colour[:, :, None], marks.said_kind[:, :, None]
    of_colour = (said_colour == colour[:, None, :]) & (said_colour > 0)
    of_kind = (said_kind == marks.kind[:, None, :]) & (of_colour | (said_colour == 0))
    is_sink = is_end & (frame == frame.amax(1, keepdim=True))
    loss = _surprise(trace.seen, BACK_IN_TIME, is_same & is_before)
    loss = loss + _surprise(trace.seen, AT_ENDS, is_end[:, :, None] & is_end[:, None] & is_before)
    for place in AT_FRAME:
        loss = loss + _surprise(trace.seen, place, is_end[:, :, None] & is_here)
    for place in AT_SUMMARY:
        loss = loss + _surprise(trace.told, place, is_sink[:, None].expand_as(trace.told[0][:, 0]))
    said = (marks.said_colour, marks.said_kind)
    for place, about, name in zip(AT_NAME, said, marks.names, strict=True):
        words = torch.arange(trace.own[0].shape[-1])
        is_name = (words == name[:, :, None]) & (about[:, :, None] > 0)
        loss = loss + _surprise(trace.own, place, is_name)
    for places, about, is_of in zip((AT_COLOUR, AT_KIND), said, (of_colour, of_kind), strict=True):
        found = is_of & marks.is_latest[:, None]
        is_missed = (about > 0) & ~found.any(-1)
        targets = found & (about[:, :, None] > 0) | is_missed[:, :, None] & is_sink[:, None]
        for place in places:
            loss = loss + _surprise(trace.told, place, targets)
    return loss


def _surprise(attention: list[Tensor], place: tuple[int, int], targets: Tensor) -> Tensor:
    """Minus the logarithm of the attention on the targets, over the rows that have any."""
    layer, head = place
    row, position = targets.any(-1).nonzero(as_tuple=True)
    if not len(row):
        return torch.zeros(())
    weights = attention[layer][row, head, position].float()
    return -((weights * targets[row, position]).sum(-1) + 1e-4).log().mean()
