"""Lookout at twice its capacity: who is answered, who is refused, what memory and health do.

``python -m bench.soak`` takes half an hour and a few minutes. It finds out what the service answers
when clients wait for it, then sends twice as much whether answers come or not, and lets some hang
up; at the end it hangs up on long answers and counts what was written for nobody. The findings are
written into the document that ``--document`` names; the exit status says whether all is well.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx
import psutil

from bench.engine.checkpoint import write_checkpoint
from bench.engine.load import Answer, ask, press
from bench.engine.questions import MEDIA, Questions
from bench.engine.table import markdown, quantile
from contracts.documentation import with_block
from demo.serving import served

FOLDER = Path("build/bench-engine")
BLOCK = "bench-soak"
DEADLINE_S = 30
NUM_CLIENTS = 32  # while capacity is measured
PICTURES_TO_A_CLIP = 9
HANGS_UP = 0.1  # part of the clients
LOOK_S = 1.0
NUM_LONG, LONG_TOKENS = 8, 1500
MAX_GROWTH = 0.1  # of memory, from the second tenth of the time to the last
MAX_HEALTH_S = 1.0
MAX_STEPS_FOR_NOBODY = 2  # the one that runs when a client leaves, and what its end takes


@dataclass(slots=True)
class Soak:
    """What was seen.

    Attributes:
        per_s: Answers a second when clients wait for them.
        answers: Of all who did not hang up.
        num_left: Who hung up.
        health_s: How long ``/livez`` took.
        resident_mb: Of all processes of the service.
        steps_for_nobody: Tokens of each answer that were written after its client had left.
        gone_s: Until no answer was being written any more.
    """

    per_s: float = 0.0
    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    num_left: int = 0
    health_s: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    steps_for_nobody: float = 0.0
    gone_s: float = 0.0

    @property
    def latencies_s(self) -> list[float]:
        """Of complete answers."""
        return [
            one.ended_s - one.began_s for one in self.answers if one.is_complete and one.ended_s
        ]

    @property
    def outcomes(self) -> Counter[str]:
        """How requests ended."""
        return Counter(outcome(one) for one in self.answers)

    @property
    def growth(self) -> float:
        """Of memory, from the second tenth of the time to the last, relative."""
        tenth = max(1, len(self.resident_mb) // 10)
        first = statistics.median(self.resident_mb[tenth : 2 * tenth] or self.resident_mb)
        return statistics.median(self.resident_mb[-tenth:]) / first - 1

    @property
    def problems(self) -> list[str]:
        """What is not as it should be."""
        bad = {name: num for name, num in self.outcomes.items() if name not in GOOD}
        found = [f"{num} requests: {name}" for name, num in bad.items()]
        if not self.outcomes["answered"]:
            found.append("nothing was answered")
        if self.growth > MAX_GROWTH:
            found.append(f"memory grew by {self.growth:.0%}")
        if max(self.health_s) > MAX_HEALTH_S:
            found.append(f"/livez took {max(self.health_s):.1f} s")
        if self.steps_for_nobody > MAX_STEPS_FOR_NOBODY:
            found.append(f"{self.steps_for_nobody:.1f} steps for clients that had left")
        return found

    def table(self) -> str:
        """What was seen, and what is not as it should be."""
        sent = len(self.answers) + self.num_left
        latencies_s, health_s = self.latencies_s, self.health_s
        rows = [
            ("capacity, measured with clients that wait", f"{self.per_s:.1f} requests/s"),
            ("sent", f"{sent} in {self.seconds:.0f} s, {sent / self.seconds:.1f} a second"),
            *((name, str(num)) for name, num in sorted(self.outcomes.items())),
            ("hung up", str(self.num_left)),
            ("seconds to the last token, median", f"{quantile(latencies_s, 0.5):.2f}"),
            ("p99", f"{quantile(latencies_s, 0.99):.2f}"),
            ("at most", f"{max(latencies_s, default=0):.2f}, of {DEADLINE_S}"),
            ("`/livez` ms, median", f"{quantile(health_s, 0.5) * 1000:.1f}"),
            ("at most", f"{max(health_s) * 1000:.0f}"),
            ("memory MB, from and to", f"{self.resident_mb[0]:.0f}, {self.resident_mb[-1]:.0f}"),
            ("growth from the second tenth to the last", f"{self.growth:.1%}"),
            ("steps written after clients left", f"{self.steps_for_nobody:.1f}"),
            ("until no answer was written any more", f"{self.gone_s * 1000:.0f} ms"),
        ]
        verdict = "; ".join(self.problems) or "All as it should be."
        return f"{markdown(('what', 'seen'), rows)}\n\n{verdict}"


GOOD = ("answered", "refused with 429 and Retry-After")


def outcome(answer: Answer) -> str:
    """How a request ended, in words."""
    if answer.is_complete and answer.ended_s is not None:
        took_s = answer.ended_s - answer.began_s
        return "answered" if took_s <= DEADLINE_S else "answered too late"
    if answer.status == 429:
        has_wait = answer.retry_after_s is not None
        return f"refused with 429 {'and' if has_wait else 'without'} Retry-After"
    return f"status {answer.status}" if answer.status != 200 else "broken off"


async def soak(url: str, model: str, *, seconds: float, warm_up_s: float) -> Soak:
    """Press, watch, hang up."""
    seen = Soak(seconds=seconds)
    bodies = mixed(model)
    load = await press(url, bodies, num_clients=NUM_CLIENTS, seconds=warm_up_s, drain_s=DEADLINE_S)
    seen.per_s = len(load.complete) / load.seconds
    watching = asyncio.create_task(watch(url, seen))
    await flood(url, bodies, seen)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await leave_long_answers(url, model, seen)
    return seen


def mixed(model: str) -> Iterator[bytes]:
    """Nine pictures to one clip, all different, without an end."""
    pictures, clips = (
        Questions(medium, is_repeated=False, has_video=True, model=model).bodies()
        for medium in MEDIA
    )
    while True:
        yield from islice(pictures, PICTURES_TO_A_CLIP)
        yield next(clips)


async def flood(url: str, bodies: Iterator[bytes], seen: Soak) -> None:
    """Twice what is answered, at random moments, whether answers come or not."""
    drawn = random.Random(0)
    began_s = time.monotonic()
    due_s = 0.0
    tasks: set[asyncio.Task[None]] = set()
    while due_s < seen.seconds:
        await asyncio.sleep(max(0, began_s + due_s - time.monotonic()))
        patience_s = drawn.uniform(0, 2) if drawn.random() < HANGS_UP else None
        task = asyncio.create_task(ask_once(url, next(bodies), patience_s, seen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due_s += drawn.expovariate(2 * seen.per_s)
    await asyncio.gather(*tasks)


async def ask_once(url: str, body: bytes, patience_s: float | None, seen: Soak) -> None:
    """One request; its client hangs up when its patience ends."""
    try:
        async with asyncio.timeout(patience_s):
            seen.answers.append(await ask(url, body))
    except TimeoutError:
        seen.num_left += 1


async def watch(url: str, seen: Soak) -> None:
    """Health and memory, once a second, until cancelled."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)][1:]
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while True:
            began_s = time.perf_counter()
            (await client.get("/livez")).raise_for_status()
            seen.health_s.append(time.perf_counter() - began_s)
            seen.resident_mb.append(sum(map(_resident_mb, processes)))
            await asyncio.sleep(LOOK_S)


async def leave_long_answers(url: str, model: str, seen: Soak) -> None:
    """Hang up on long answers, and count what is written after that."""
    extra = {"min_tokens": LONG_TOKENS}
    questions = Questions("picture", True, True, model, 1, LONG_TOKENS, extra).bodies()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await _until_running(client, 0)
        clients = [asyncio.create_task(ask(url, next(questions))) for _ in range(NUM_LONG)]
        await _until_running(client, NUM_LONG)
        before, began_s = await _num_generated(client), time.perf_counter()
        for one in clients:
            one.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await _until_running(client, 0)
        seen.gone_s = time.perf_counter() - began_s
        seen.steps_for_nobody = (await _num_generated(client) - before) / NUM_LONG


async def _until_running(client: httpx.AsyncClient, num_requests: int) -> None:
    """Wait until so many requests are being answered, and none waits."""
    async with asyncio.timeout(2 * DEADLINE_S):
        while True:
            engine = (await client.get("/v1/status")).json()["engine"]
            if engine["running"] == num_requests and not any(engine["queue"].values()):
                return
            await asyncio.sleep(0.005)


async def _num_generated(client: httpx.AsyncClient) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    wanted = (line for line in lines if line.startswith("lookout_generated_tokens_total"))
    return sum(float(line.rpartition(" ")[2]) for line in wanted)


def _resident_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def main() -> None:
    """Serve, soak, write down."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm-up", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for checkpoint and table")
    parser.add_argument("--document", type=Path, help="whose table is written")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = write_checkpoint(folder / "llava")
    variables = {
        "VLM_MODEL": str(checkpoint),
        "VLM_DTYPE": "bfloat16",
        "VLM_REQUEST_TIMEOUT_S": str(DEADLINE_S),
    }
    with served(variables) as url:
        work = soak(url, checkpoint.name, seconds=60 * options.minutes, warm_up_s=options.warm_up)
        seen = asyncio.run(work)
    print(seen.table())
    (folder / "soak.md").write_text(seen.table() + "\n")
    if options.document:
        document: Path = options.document
        document.write_text(with_block(document.read_text(), BLOCK, seen.table()))
    sys.exit(1 if seen.problems else 0)


if __name__ == "__main__":
    main()
