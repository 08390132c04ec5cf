"""Stage A: teach the tower what stands where, with a label on every patch and no language.

The heads read the very states that the language model will read: the last layer's output
before the final norm, the projector's output, and the projector's output pooled.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from demo.architecture import GRID, HIDDEN, POOLED, Eyes, pool, to_pixel_values
from demo.scenes import COLOURS, KINDS
from demo.vision_data import IGNORE, VisionBatch, VisionBatches, vision_batch

Labels = tuple[Tensor, Tensor, Tensor]


class CellHead(nn.Module):
    """A linear reading of a token: colour, kind, the object's centre and the token's place."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(HIDDEN, 1 + len(COLOURS) + 1 + len(KINDS) + 2 + 2)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(..., D) -> colour (..., 9), kind (..., 8), centre (..., 2), place (..., 2)."""
        read = self.read(tokens).float()
        colour, kind, centre, place = read.split([1 + len(COLOURS), 1 + len(KINDS), 2, 2], -1)
        return colour, kind, centre, place


class Lessons(nn.Module):
    """The eyes with the heads that teach them."""

    def __init__(self) -> None:
        super().__init__()
        self.eyes = Eyes()
        self.tower_head = CellHead()
        self.token_head = CellHead()

    def forward(self, pixel_values: Tensor, batch: VisionBatch) -> Tensor:
        """The loss over all three readings of a batch."""
        hidden = self.eyes.hidden(pixel_values)
        tokens = self.eyes.project(hidden)
        return (
            cell_loss(self.tower_head(hidden), batch.patches, GRID)
            + cell_loss(self.token_head(tokens), batch.patches, GRID)
            + cell_loss(self.token_head(pool(tokens)), batch.cells, POOLED)
        )


def cell_loss(read: tuple[Tensor, Tensor, Tensor, Tensor], labels: Labels, side: int) -> Tensor:
    """Cross entropy of colour and kind, absolute error of the centre and of the own place."""
    colour, kind, centre, place = read
    here = labels[0] > 0
    off = (centre - labels[2]).abs().sum(-1)[here].sum() / here.sum().clamp(min=1)
    axis = (torch.arange(side) + 0.5) / side
    own = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
    return (
        balanced_entropy(colour, labels[0])
        + balanced_entropy(kind, labels[1])
        + 3.0 * off
        + (place - own).abs().mean()
    )


def balanced_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy that weighs the many cells of background less."""
    weight = torch.ones(logits.shape[-1])
    weight[0] = 0.25
    return functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), weight=weight, ignore_index=IGNORE
    )


@dataclass(frozen=True, slots=True)
class VisionScore:
    """Shares of the cells with an object on them that are read right, and the centre's error."""

    patch_colour: float
    patch_kind: float
    cell_colour: float
    cell_kind: float
    cell_background: float
    cell_off: float  # mean absolute error of a coordinate, of the frame's side


@torch.no_grad()
def score(lessons: Lessons, *, seed: int = 7, num_frames: int = 256) -> VisionScore:
    """Read fresh frames through the linear heads."""
    batch = vision_batch(Random(seed), num_frames)
    tokens = lessons.eyes(to_pixel_values(batch.rgb))
    patch, cell = lessons.token_head(tokens), lessons.token_head(pool(tokens))
    here, there, empty = batch.patches[0] > 0, batch.cells[0] > 0, batch.cells[0] == 0
    return VisionScore(
        _share(patch[0], batch.patches[0], here),
        _share(patch[1], batch.patches[1], here),
        _share(cell[0], batch.cells[0], there),
        _share(cell[1], batch.cells[1], there),
        _share(cell[0], batch.cells[0], empty),
        float((cell[2] - batch.cells[2]).abs()[there].mean()),
    )


def _share(logits: Tensor, labels: Tensor, where: Tensor) -> float:
    return float((logits.argmax(-1) == labels)[where].float().mean())


def train_eyes(work: Path, *, steps: int, seed: int, batch_size: int = 64) -> Lessons:
    """Run stage A, or go on with it from ``work/eyes.pt``."""
    torch.manual_seed(seed)
    lessons = Lessons()
    optimizer = torch.optim.AdamW(lessons.parameters(), lr=2e-3, weight_decay=0.01)
    path, first = work / "eyes.pt", 0
    if path.exists():
        first = _resume(path, lessons, optimizer)
    loader = DataLoader(VisionBatches(seed + first, batch_size), batch_size=None, num_workers=1)
    bar = tqdm(zip(range(first, steps), loader, strict=False), "eyes", steps, initial=first)
    for step, batch in bar:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * schedule(step, steps, warm_up=100)
        loss = _step(lessons, optimizer, batch)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss:.3f}")
        if (step + 1) % 250 == 0 or step + 1 == steps:
            tqdm.write(f"eyes {step + 1} loss {loss:.3f} {asdict(score(lessons))}")
            _save(path, lessons, optimizer, step + 1)
    return lessons.eval()


def schedule(step: int, steps: int, *, warm_up: int) -> float:
    """A linear start and a cosine down to a fiftieth."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def _step(lessons: Lessons, optimizer: torch.optim.Optimizer, batch: VisionBatch) -> float:
    with torch.autocast("cpu", torch.bfloat16):
        loss = lessons(to_pixel_values(batch.rgb), batch)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(lessons.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _save(path: Path, lessons: Lessons, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {"lessons": lessons.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _resume(path: Path, lessons: Lessons, optimizer: torch.optim.Optimizer) -> int:
    state = torch.load(path)
    lessons.load_state_dict(state["lessons"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
