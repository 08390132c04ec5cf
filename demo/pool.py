"""A pool of samples with their visual tokens, asked about again and again.

The eyes are frozen here, so a clip is encoded once and serves many steps with fresh questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from demo.answers import Question, View
from demo.architecture import GRID, HIDDEN, POOLED, Eyes, Speech, pool, to_pixel_values
from demo.clips import UNKNOWN, Sample
from demo.guidance import Marks
from demo.language import ask
from demo.packing import Packed
from demo.prompts import END, after_media, before_media, random_system, turn
from demo.scenes import COLOURS, KINDS
from demo.topics import topics_of
from demo.wordings import Split

Segment = tuple[list[int], int]  # token ids of a question and its answer; where that begins
NEWLINE = -1  # stands in ``Encoded.order`` for the learnt token at the end of a row


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sample's truth with its visual tokens instead of its frames.

    ``tokens`` is float16 (T, D); ``order`` is int64 (V,): the visual block as indices into the
    tokens, ``NEWLINE`` where a row ends. ``frame_ends`` are the places in the block of each
    frame's last newline, ``cell_places`` (F, 36) those of the pooled cells of a clip.
    ``colour_at`` and ``frame_at``, int64 (V,), are what ``guidance.Marks`` is made of.
    """

    sample: Sample
    tokens: Tensor
    order: Tensor
    frame_ends: Tensor
    cell_places: Tensor | None
    colour_at: Tensor
    frame_at: Tensor

    def __len__(self) -> int:
        return len(self.order)


@torch.no_grad()
def encode(eyes: Eyes, samples: Sequence[Sample]) -> list[Encoded]:
    """Run the eyes over the frames of several samples at once."""
    rgb = torch.cat([torch.from_numpy(sample.rgb.copy()) for sample in samples])
    if not len(rgb):
        return [_laid_out(sample, torch.zeros(0, GRID * GRID, HIDDEN)) for sample in samples]
    with torch.autocast("cpu", torch.bfloat16):
        tokens = torch.cat([eyes(to_pixel_values(part)) for part in torch.split(rgb, 48)]).float()
    parts = torch.split(tokens, [len(sample.rgb) for sample in samples])
    return [_laid_out(sample, part) for sample, part in zip(samples, parts, strict=True)]


def _laid_out(sample: Sample, tokens: Tensor) -> Encoded:
    """Put a sample's tokens in the order of LLAVA.md 1.5 and 1.6: (F, 144, D) in."""
    if sample.view.medium == "none":
        nothing = torch.zeros(0, dtype=torch.long)
        return Encoded(
            sample, tokens.flatten(0, 1).half(), nothing, nothing, None, nothing, nothing
        )
    if sample.view.medium == "video":
        return _clip(sample, pool(tokens))
    if sample.rows is None:
        order = torch.cat([torch.arange(GRID * GRID), torch.tensor([NEWLINE])])
    else:
        top, bottom, left, right = sample.rows
        grid = torch.arange(GRID * GRID).view(GRID, GRID)[top:bottom, left:right] + GRID * GRID
        ended = torch.cat([grid, torch.full((len(grid), 1), NEWLINE)], 1).flatten()
        order = torch.cat([torch.arange(GRID * GRID), ended])
    last, frame_at = torch.tensor([len(order) - 1]), torch.zeros(len(order), dtype=torch.long)
    colour_at = torch.zeros_like(frame_at)
    cells = torch.from_numpy(sample.cells[0]).view(POOLED, POOLED)
    colour_at[: GRID * GRID] = cells.repeat_interleave(2, 0).repeat_interleave(2, 1).flatten()
    return Encoded(sample, tokens.flatten(0, 1).half(), order, last, None, colour_at, frame_at)


def _clip(sample: Sample, pooled: Tensor) -> Encoded:
    num_frames = len(pooled)
    grid = torch.arange(num_frames * POOLED * POOLED).view(num_frames, POOLED, POOLED)
    ends = torch.full((num_frames, POOLED, 1), NEWLINE)
    order = torch.cat([grid, ends], 2).flatten()
    per_frame = POOLED * (POOLED + 1)
    frame_ends = torch.arange(1, num_frames + 1) * per_frame - 1
    places = (order != NEWLINE).nonzero().view(num_frames, POOLED * POOLED)
    colour_at = torch.zeros(len(order), dtype=torch.long)
    colour_at[places.flatten()] = torch.from_numpy(sample.cells).flatten()
    frame_at = torch.arange(len(order)) // per_frame
    tokens = pooled.flatten(0, 1).half()
    return Encoded(sample, tokens, order, frame_ends, places, colour_at, frame_at)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A packed batch with its questions, and where in the prefix each visual block begins."""

    packed: Packed
    questions: list[list[Question]]
    block_starts: list[int]
    encoded: list[Encoded]
    marks: Marks


def make_lesson(
    rng: Random,
    speech: Speech,
    tokenizer: PreTrainedTokenizerFast,
    encoded: Sequence[Encoded],
    *,
    num_questions: int,
    longest: int = 60,
    split: Split = "train",
) -> Lesson:
    """Ask fresh questions on every clip, of at most ``longest`` tokens, and pack them."""
    prefixes, starts, rows, asked = [], [], [], []
    for item in encoded:
        prefix, start = _prefix(rng, speech, tokenizer, item)
        prefixes.append(prefix)
        starts.append(start)
        pairs = [
            _fitting(rng, tokenizer, item.sample.view, split, longest) for _ in range(num_questions)
        ]
        asked.append([question for question, _ in pairs])
        rows.append([segment for _, segment in pairs])
    packed = _pack(prefixes, rows)
    marks = _mark(tokenizer, packed, starts, encoded)
    return Lesson(packed, asked, starts, list(encoded), marks)


def _mark(
    tokenizer: PreTrainedTokenizerFast,
    packed: Packed,
    starts: Sequence[int],
    encoded: Sequence[Encoded],
) -> Marks:
    colour = torch.zeros(packed.prefix.shape[:2], dtype=torch.long)
    kind, frame = colour.clone(), colour - 1
    is_end, is_latest = colour > 0, colour > 0
    for row, (start, item) in enumerate(zip(starts, encoded, strict=True)):
        block = slice(start, start + len(item))
        colour[row, block], frame[row, block] = item.colour_at, item.frame_at
        kind[row, block] = _kinds_by_colour(item)[item.colour_at]
        is_end[row, start + item.frame_ends] = True
        for shade in item.colour_at.unique():
            of_shade = item.colour_at == shade
            is_latest[row, block] |= of_shade & (item.frame_at == item.frame_at[of_shade].max())
    topics = topics_of(tokenizer, packed)
    names = (topics.colour_named, topics.kind_named)
    return Marks(colour, kind, frame, is_end, is_latest, topics.colour, topics.kind, names)


def _kinds_by_colour(item: Encoded) -> Tensor:
    """The kind, from 1, of the thing of each colour, from 1; 0 where there is none."""
    kinds = torch.zeros(1 + len(COLOURS), dtype=torch.long)
    for seen in item.sample.view.seen:
        kinds[1 + COLOURS.index(seen.colour)] = 1 + KINDS.index(seen.kind)
    return kinds


def _prefix(
    rng: Random, speech: Speech, tokenizer: PreTrainedTokenizerFast, item: Encoded
) -> tuple[Tensor, int]:
    """Embeddings of everything before the question, and where the visual block begins."""
    embed = speech.language.model.embed_tokens
    opening = _ids(tokenizer, before_media(random_system(rng)))
    if item.sample.view.medium == "none":
        return embed(torch.tensor(opening)), len(opening)
    closing = _ids(tokenizer, after_media(item.sample.time_text))
    padded = torch.cat([item.tokens.float(), speech.newline[None]])  # NEWLINE indexes the last
    block = padded[item.order]
    return torch.cat([embed(torch.tensor(opening)), block, embed(torch.tensor(closing))]), len(
        opening
    )


def _fitting(
    rng: Random, tokenizer: PreTrainedTokenizerFast, view: View, split: Split, longest: int
) -> tuple[Question, Segment]:
    """A question whose tokens, with its answer's, are few enough."""
    while True:
        question = ask(rng, view, split)
        segment = _segment(tokenizer, question)
        if len(segment[0]) <= longest:
            return question, segment


def _segment(tokenizer: PreTrainedTokenizerFast, question: Question) -> Segment:
    """Token ids of a question with its answer, and where the answer begins."""
    asked = _ids(tokenizer, turn(question.text))
    return asked + _ids(tokenizer, question.answer + END), len(asked)


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _pack(prefixes: list[Tensor], rows: list[list[Segment]]) -> Packed:
    lengths = torch.tensor([len(prefix) for prefix in prefixes])
    longest = max(len(ids) for row in rows for ids, _ in row)
    segments = torch.zeros(len(rows), len(rows[0]), longest, dtype=torch.long)
    targets = torch.full_like(segments, UNKNOWN)
    for i, row in enumerate(rows):
        for j, (ids, begin) in enumerate(row):
            segments[i, j, : len(ids)] = torch.tensor(ids)
            targets[i, j, begin - 1 : len(ids) - 1] = torch.tensor(ids[begin:])
    prefix = torch.nn.utils.rnn.pad_sequence(prefixes, batch_first=True)
    return Packed(prefix, lengths, segments, targets)


def draw_batch(rng: Random, items: Sequence[Encoded], max_tokens: int) -> list[Encoded]:
    """Draw samples of about one length, as many as fit into ``max_tokens``."""
    candidates = sorted(rng.sample(items, min(len(items), 64)), key=len)
    start = max(0, rng.randrange(-8, len(candidates)))  # the shortest are drawn as often, too
    batch: list[Encoded] = []
    for item in candidates[start:] + candidates[:start][::-1]:
        widest = max([len(item), *(len(other) for other in batch)])
        if batch and (len(batch) + 1) * (widest + 350) > max_tokens:
            break
        batch.append(item)
    return batch


def tally(lesson: Lesson, is_right: Tensor) -> tuple[Counter[str], Counter[str]]:
    """Right answers and all answers by kind of question; ``is_right`` is bool (B, K)."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row, verdicts in zip(lesson.questions, is_right.tolist(), strict=True):
        for question, verdict in zip(row, verdicts, strict=True):
            total[question.kind] += 1
            right[question.kind] += verdict
    return right, total
