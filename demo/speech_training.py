"""Stage B: teach the language model to answer, with the eyes frozen.

Many questions share one clip's prefix. Linear heads, thrown away afterwards, ask the states of
the prefix for what every answer is made of: how far the object under a token has come since the
first frame, and, at the end of every frame, what each colour has been and done so far and how
many things that makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from demo.architecture import HIDDEN, Eyes, Speech
from demo.clips import UNKNOWN, Sample, Samples, random_sample
from demo.guidance import guidance_loss
from demo.packing import run_packed
from demo.pool import Encoded, Lesson, draw_batch, encode, make_lesson, tally
from demo.scenes import COLOURS, KINDS, MOTIONS
from demo.summary import MOST, NUM_COUNTS, summarise
from demo.vision_training import schedule

TABLE_LAYER = 3  # its output must hold the table; the layers above read it
SUMMARY_LAYER = 4
SHIFT_LAYER = 1
MOTION_LAYER = 2
RATE = 2e-3
FIRST_WORD_WEIGHT = 3.0  # it decides between yes and no


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how large stage B is."""

    steps: int
    seed: int
    rank: int = 0  # of this process among those that train together
    max_tokens: int = 6400  # of one process's batch, prefixes and questions together
    pool_size: int = 4000
    fresh: int = 3  # samples that join the pool at every step
    num_short: int = 600  # samples until clips have their usual length
    rate: float = RATE

    def for_rank(self, rank: int) -> Plan:
        """The same plan in another process, which draws samples of its own."""
        return replace(self, rank=rank)


class Pupil(nn.Module):
    """The language model with the two heads that teach it."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.speech = Speech(vocab_size)
        self.table_head = nn.Linear(HIDDEN, len(COLOURS) * (2 + len(KINDS) + len(MOTIONS)))
        self.summary_head = nn.Linear(HIDDEN, NUM_COUNTS * (1 + MOST))
        self.shift_head = nn.Linear(HIDDEN, 2)
        self.motion_head = nn.Linear(HIDDEN, 1 + len(MOTIONS))

    def forward(self, lesson: Lesson) -> tuple[Tensor, Tensor, Tensor]:
        """Answer loss, loss of the heads, and whether each answer is right: bool (B, K)."""
        trace = run_packed(self.speech.language, lesson.packed)
        taught = lesson.packed.targets != UNKNOWN
        logits = self.speech.language.lm_head(trace.final[taught]).float()
        wanted = lesson.packed.targets[taught]
        is_wrong = torch.zeros_like(taught)
        is_wrong[taught] = logits.argmax(-1) != wanted
        heads = self._table_loss(lesson, trace.states) + self._object_loss(lesson, trace.states)
        heads = heads + guidance_loss(lesson.marks, trace)
        weights = _word_weights(taught)[taught]
        surprise = functional.cross_entropy(logits, wanted, reduction="none")
        return (surprise * weights).sum() / weights.sum(), heads, ~is_wrong.any(-1)

    def _table_loss(self, lesson: Lesson, states: list[Tensor]) -> Tensor:
        held, summed, tables = [], [], []
        for row, (start, item) in enumerate(zip(lesson.block_starts, lesson.encoded, strict=True)):
            if len(item.frame_ends):
                held.append(states[TABLE_LAYER][row, start + item.frame_ends])
                summed.append(states[SUMMARY_LAYER][row, start + item.frame_ends])
                tables.append(item.sample.table)
        if not tables:
            return torch.zeros(())
        read = self.table_head(torch.cat(held)).float().unflatten(-1, (len(COLOURS), -1))
        kind, motion = read.split([1 + len(KINDS), 1 + len(MOTIONS)], -1)
        counts = self.summary_head(torch.cat(summed)).float().unflatten(-1, (NUM_COUNTS, -1))
        return (
            _entropy(kind, torch.cat([torch.from_numpy(table.kind) for table in tables]))
            + _entropy(motion, torch.cat([torch.from_numpy(table.motion) for table in tables]))
            + 2.0 * _entropy(counts, torch.cat([summarise(table) for table in tables]))
        )

    def _object_loss(self, lesson: Lesson, states: list[Tensor]) -> Tensor:
        """Of the tokens on objects: how far the object has come, and what it has done so far."""
        early, late, shifts, motions = [], [], [], []
        for row, (start, item) in enumerate(zip(lesson.block_starts, lesson.encoded, strict=True)):
            if item.cell_places is None:
                continue
            frame, cell = torch.from_numpy(item.sample.cells).nonzero(as_tuple=True)
            colour = torch.from_numpy(item.sample.cells)[frame, cell] - 1
            places = start + item.cell_places[frame, cell]
            early.append(states[SHIFT_LAYER][row, places])
            late.append(states[MOTION_LAYER][row, places])
            shifts.append(torch.from_numpy(item.sample.shift)[frame, colour])
            motions.append(torch.from_numpy(item.sample.table.motion)[frame, colour])
        if not sum(len(part) for part in early):
            return torch.zeros(())
        off: Tensor = self.shift_head(torch.cat(early)).float() - torch.cat(shifts)
        motion = self.motion_head(torch.cat(late)).float()
        return 10.0 * off.square().sum(-1).mean() + _entropy(motion, torch.cat(motions))


def _word_weights(taught: Tensor) -> Tensor:
    """What each token counts in the loss: the first of an answer more. Both (B, K, S)."""
    is_first = taught.clone()
    is_first[..., 1:] &= ~taught[..., :-1]
    return 1.0 + (FIRST_WORD_WEIGHT - 1.0) * is_first


def _entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=UNKNOWN)


class Teacher:
    """Stage B as it runs: the pupil, the pool of samples and the state of the optimizer."""

    def __init__(
        self, work: Path, plan: Plan, eyes: Eyes, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        torch.manual_seed(plan.seed)
        self._path, self._plan, self._eyes, self._tokenizer = (
            work / "speech.pt",
            plan,
            eyes,
            tokenizer,
        )
        self.pupil = Pupil(len(tokenizer))
        self._optimizer = torch.optim.AdamW(
            self.pupil.parameters(), lr=plan.rate, weight_decay=0.01
        )
        self._first = self._resume() if self._path.exists() else 0
        self._rng = Random(f"{plan.seed}/{self._first}/{plan.rank}")
        self._right, self._total = Counter[str](), Counter[str]()

    def run(self) -> None:
        """Teach to the end of the plan."""
        plan = self._plan
        num_short = plan.num_short if self._first == 0 else 0
        samples = Samples(f"{plan.seed}/{self._first}/{plan.rank}", num_short)
        loader = DataLoader(samples, batch_size=None, num_workers=1, prefetch_factor=64)
        source = iter(loader)
        pool = self._fresh(source, 320)
        exam = encode(self._eyes, [random_sample(Random(f"exam {i}")) for i in range(90)])
        bar = tqdm(
            range(self._first, plan.steps),
            "speech",
            plan.steps,
            initial=self._first,
            disable=plan.rank > 0,
        )
        for step in bar:
            self._renew(pool, self._fresh(source, plan.fresh))
            loss, heads = self._step(step, pool)
            if step % 20 == 0:
                bar.set_postfix(loss=f"{loss:.3f}", heads=f"{heads:.3f}")
            if plan.rank == 0 and ((step + 1) % 100 == 0 or step + 1 == plan.steps):
                tqdm.write(f"speech {step + 1} loss {loss:.3f} heads {heads:.3f}")
                self._report(exam)
                self._save(step + 1)

    def _report(self, exam: list[Encoded]) -> None:
        tqdm.write(f"  trained {_shares(self._right, self._total)}")
        tqdm.write(f"  held out {_shares(*examine(self.pupil, self._tokenizer, exam))}")
        self._right, self._total = Counter(), Counter()

    def _fresh(self, source: Iterator[Sample], count: int) -> list[Encoded]:
        fresh: list[Encoded] = []
        while len(fresh) < count:
            fresh += encode(self._eyes, [next(source) for _ in range(min(count, 8))])
        return fresh[:count]

    def _renew(self, pool: list[Encoded], fresh: list[Encoded]) -> None:
        for item in fresh:
            if len(pool) < self._plan.pool_size:
                pool.append(item)
            else:
                pool[self._rng.randrange(len(pool))] = item

    def _step(self, step: int, pool: list[Encoded]) -> tuple[float, float]:
        plan, rng = self._plan, self._rng
        for group in self._optimizer.param_groups:
            group["lr"] = plan.rate * schedule(step, plan.steps, warm_up=100)
        many, longest = (12, 27) if rng.random() < 0.5 else (8, 46)
        batch = draw_batch(rng, pool, plan.max_tokens)
        with torch.autocast("cpu", torch.bfloat16):
            lesson = make_lesson(
                rng, self.pupil.speech, self._tokenizer, batch, num_questions=many, longest=longest
            )
            loss, heads, is_right = self.pupil(lesson)
        self._optimizer.zero_grad()
        (loss + 0.5 * heads).backward()
        average_gradients(self.pupil)
        nn.utils.clip_grad_norm_(self.pupil.parameters(), 1.0)
        self._optimizer.step()
        right, total = tally(lesson, is_right)
        self._right += right
        self._total += total
        return float(loss.detach()), float(heads.detach())

    def _save(self, step: int) -> None:
        state = {
            "pupil": self.pupil.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": step,
        }
        torch.save(state, self._path.with_suffix(".tmp"))
        self._path.with_suffix(".tmp").replace(self._path)

    def _resume(self) -> int:
        state = torch.load(self._path)
        self.pupil.load_state_dict(state["pupil"])
        self._optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])


def average_gradients(module: nn.Module) -> None:
    """Give every process that trains along the mean of all their gradients."""
    if not distributed.is_initialized():
        return
    parameters = list(module.parameters())
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    parts = torch.split(flat, [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


@torch.no_grad()
def examine(
    pupil: Pupil, tokenizer: PreTrainedTokenizerFast, exam: list[Encoded]
) -> tuple[Counter[str], Counter[str]]:
    """Held-out wordings on held-out samples: a right answer is the whole greedy answer."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    ordered = sorted(exam, key=len)
    for start in range(0, len(ordered), 6):
        rng = Random(start)
        batch = ordered[start : start + 6]
        lesson = make_lesson(rng, pupil.speech, tokenizer, batch, num_questions=8, split="held_out")
        with torch.autocast("cpu", torch.bfloat16):
            _, _, is_right = pupil(lesson)
        some_right, some_total = tally(lesson, is_right)
        right += some_right
        total += some_total
    return right, total


def _shares(right: Counter[str], total: Counter[str]) -> str:
    parts = [f"{kind} {right[kind] / total[kind]:.3f}" for kind in sorted(total)]
    whole = sum(right.values()) / max(sum(total.values()), 1)
    return f"all {whole:.3f}: " + ", ".join(parts)
