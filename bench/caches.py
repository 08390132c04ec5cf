"""What is saved by computing nothing twice: ``python -m bench.caches``.

The bare runner, one client; ways to ask take turns, so that all see the same machine. Clips are
noise, which nothing is known of until it is sent again.
"""

import argparse
import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.generation import GenerationRequest, SamplingParams
from contracts.judging import JudgeRequest
from contracts.media import Clip, Frame
from contracts.settings import Settings
from llava_custom import Visual
from runners.transformers_runner import TransformersRunner

QUESTION = "What happens in this video?"
RULES = tuple(f"Is there a {thing} in the {place}?" for thing in
              ("fire", "person", "car", "red ball", "blue square") for place in
              ("middle", "left half", "right half", "picture"))  # fmt: skip


class Films:
    """Clips of noise, each new unless asked for the same again."""

    def __init__(self, size_wh: tuple[int, int], num_frames: int) -> None:
        self._noise = np.random.default_rng(0)
        self._shape = (size_wh[1], size_wh[0], 3)
        self._num_frames = num_frames
        self.latest = self.new()

    def new(self) -> Clip:
        """One nobody has seen."""
        self.latest = self._clip(tuple(self._frame() for _ in range(self._num_frames)))
        return self.latest

    def moved(self) -> Clip:
        """The latest window of a stream, a frame later."""
        self.latest = self._clip((*self.latest.frames[1:], self._frame()))
        return self.latest

    def _frame(self) -> Frame:
        return Frame(self._noise.integers(0, 256, self._shape, np.uint8), 0.0)

    def _clip(self, frames: tuple[Frame, ...]) -> Clip:
        timed = tuple(replace(frame, time_s=0.5 * index) for index, frame in enumerate(frames))
        height, width, _ = self._shape
        end_s = 0.5 * len(timed)
        return Clip(timed, end_s, 2.0, len(timed), width, height, "h264", 0.0, end_s, "default")


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds on the wall, and of all processors for this process."""

    wall_s: float
    busy_s: float

    @classmethod
    def now(cls) -> "Moment":
        """Of clocks without a meaning."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, earlier: "Moment") -> "Moment":
        """What went by."""
        return Moment(self.wall_s - earlier.wall_s, self.busy_s - earlier.busy_s)


async def first_token(runner: TransformersRunner, clip: Clip, question: str) -> Moment:
    """From the question to its first token, which is the only one."""
    message = ChatMessage("user", (VideoPart(clip), TextPart(question)))
    began = Moment.now()
    deadline_s = time.monotonic() + 600
    request = GenerationRequest("bench", (message,), SamplingParams(max_tokens=1), deadline_s)
    async for _ in runner.generate(request):
        pass
    return Moment.now().since(began)


async def judged(runner: TransformersRunner, clip: Clip, num_rules: int) -> Moment:
    """From some questions about a clip to all judgements."""
    began = Moment.now()
    await runner.judge(JudgeRequest(clip, RULES[:num_rules]))
    return Moment.now().since(began)


def told_apart(clip: Clip) -> Moment:
    """What it takes to tell a clip's frames from others."""
    visual = Visual("video", 1, tuple(frame.rgb for frame in clip.frames))
    began = Moment.now()
    assert visual.digests
    return Moment.now().since(began)


async def measure(model: str, num_rounds: int, num_frames: int) -> Mapping[str, list[Moment]]:
    """Times of every way to ask, by its name; after one round for warming up."""
    runner = TransformersRunner(Settings.model_validate({"model": model} if model else {}))
    await runner.start()
    while runner.state != "ready":  # noqa: ASYNC110 - whoever asks for readiness polls it
        await asyncio.sleep(0.1)
    films = Films(runner.require_card().frame_policy.size_wh or (336, 336), num_frames)
    taken: dict[str, list[Moment]] = defaultdict(list)
    for number in range(1 + num_rounds):
        found = {
            "first token: a new clip": await first_token(runner, films.new(), QUESTION),
            "first token: another question to it": await first_token(
                runner, films.latest, f"How many things move? {number}"
            ),
            "first token: the same again": await first_token(runner, films.latest, QUESTION),
            "first token: its window a frame later": await first_token(
                runner, films.moved(), QUESTION
            ),
            "judging a new clip: 1 question": await judged(runner, films.new(), 1),
            "judging a new clip: 20 questions": await judged(runner, films.new(), len(RULES)),
            "judging its window a frame later: 1 question": await judged(runner, films.moved(), 1),
            "judging its window a frame later: 20 questions": await judged(
                runner, films.moved(), len(RULES)
            ),
            "telling a new clip's frames from others": told_apart(films.new()),
        }
        for name, moment in found.items():
            if number:
                taken[name].append(moment)
    await runner.close()
    return taken


def table(taken: Mapping[str, list[Moment]]) -> str:
    """Medians as markdown; processor time also as a share of the first of its kind."""
    rows = ["| what | p50 ms | processor ms | of the first |", "| --- | --- | --- | --- |"]
    firsts: dict[str, float] = {}
    for name, moments in taken.items():
        wall_ms = 1000 * statistics.median(moment.wall_s for moment in moments)
        busy_ms = 1000 * statistics.median(moment.busy_s for moment in moments)
        first_ms = firsts.setdefault(name.partition(":")[0], busy_ms)
        rows.append(f"| {name} | {wall_ms:.1f} | {busy_ms:.1f} | {busy_ms / first_ms:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, print the table and keep it in ``build/bench-caches.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="checkpoint; default: the demo model")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    taken = asyncio.run(measure(options.model, options.rounds, options.frames))
    found = table(taken)
    print(found)
    Path("build").mkdir(exist_ok=True)
    Path("build/bench-caches.md").write_text(found + "\n")


if __name__ == "__main__":
    main()
