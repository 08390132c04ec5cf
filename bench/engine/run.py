"""Every server, one at a time, in every case."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from zlib import crc32

from bench.engine import generate
from bench.engine.load import press
from bench.engine.questions import MAX_TOKENS, MEDIA, Questions
from bench.engine.servers import Checkpoint, Server
from bench.engine.table import Case, Row

WARM_UP_S = 1.5
PREPARED_PER_S = 40  # more requests than any server answers here
SLOW_START_S = 45  # the first question may compile or load


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and at which sizes.

    Attributes:
        seconds: For which clients ask.
        drain_s: What begun answers have after that.
        clients: Numbers of them.
        max_tokens: Of an answer.
        budget_s: Of one server; cases that are not begun by then are left out, and say so.
    """

    seconds: float = 3.5
    drain_s: float = 8.0
    clients: tuple[int, ...] = (1, 4, 16, 64)
    max_tokens: int = MAX_TOKENS
    budget_s: float = 210.0

    @property
    def cases(self) -> list[Case]:
        """All of them, the shortest first."""
        return [
            Case(medium, is_repeated, num_clients)
            for medium in MEDIA
            for is_repeated in (False, True)
            for num_clients in self.clients
        ]


def measure_server(
    server: Server, checkpoint: Checkpoint, plan: Plan, folder: Path
) -> Iterator[Row]:
    """All cases on one server; where it does not start or is too slow, each says why."""
    cases = plan.cases
    log = folder / f"{server.name.split()[0]}.log"
    try:
        with server.start(checkpoint, log) as url:
            over_s = time.monotonic() + plan.budget_s
            while cases:
                if time.monotonic() > over_s:
                    raise TimeoutError(f"the budget of {plan.budget_s:g} s was spent")
                yield measure_case(server, server.model(checkpoint), url, cases[0], plan)
                del cases[0]
    except (RuntimeError, FileNotFoundError, OSError) as exc:
        for case in cases:
            yield Row(server.name, case, problem=str(exc))


def measure_case(server: Server, model: str, url: str, case: Case, plan: Plan) -> Row:
    """One case, after a warm-up with media of its own kind."""
    seed = crc32(repr(case).encode())  # pictures of no other case
    questions = Questions(
        case.medium, case.is_repeated, server.has_video, model, seed, plan.max_tokens, server.extra
    )
    drawn = questions.bodies()
    num_prepared = int(plan.seconds * PREPARED_PER_S) + case.num_clients
    bodies = chain(list(islice(drawn, num_prepared)), drawn)

    async def both() -> Row:
        await press(url, bodies, num_clients=1, seconds=0.01, drain_s=SLOW_START_S)
        num_warm = min(case.num_clients, 4)
        await press(url, bodies, num_clients=num_warm, seconds=WARM_UP_S / 2, drain_s=plan.drain_s)
        load = await press(
            url,
            bodies,
            num_clients=case.num_clients,
            seconds=plan.seconds,
            drain_s=plan.drain_s,
        )
        return Row(server.name, case, load)

    return asyncio.run(both())


def measure_generate(checkpoint: Checkpoint, plan: Plan) -> Iterator[Row]:
    """One question after the other; more clients would wait in a line."""
    for case in plan.cases:
        if case.num_clients == 1 and not case.is_repeated:
            try:
                load = generate.run(checkpoint.plain, case.medium, plan.seconds)
                yield Row("plain generate", case, load)
            except (subprocess.SubprocessError, IndexError) as exc:
                yield Row("plain generate", case, problem=str(exc))


def measure_all(
    chosen: Sequence[Server], checkpoint: Checkpoint, plan: Plan, folder: Path
) -> Iterator[Row]:
    """Every row, as it comes."""
    for server in chosen:
        yield from measure_server(server, checkpoint, plan, folder)
    yield from measure_generate(checkpoint, plan)
