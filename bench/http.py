"""What HTTP adds: a text-only chat completion of one token against the bare runner's call.

``python -m bench.http``. One client; the two in turn, so that both see the same machine.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from contracts.chat import ChatMessage, TextPart
from contracts.generation import GenerationRequest, SamplingParams
from contracts.settings import Settings
from demo.serving import served
from runners.transformers_runner import TransformersRunner

QUESTION = "Hello!"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of each call."""

    http_ms: list[float]
    bare_ms: list[float]

    def table(self) -> str:
        """Medians, tails and their difference as markdown."""
        rows = ["| call | p50 ms | p90 ms |", "| --- | --- | --- |"]
        for name, values in (("HTTP", self.http_ms), ("bare runner", self.bare_ms)):
            p90 = statistics.quantiles(values, n=10)[-1]
            rows.append(f"| {name} | {statistics.median(values):.2f} | {p90:.2f} |")
        added = statistics.median(self.http_ms) - statistics.median(self.bare_ms)
        return "\n".join([*rows, f"| added | {added:.2f} | |"])


def ask_over_http(session: requests.Session, url: str) -> None:
    """One token over HTTP."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 1, "temperature": 0}
    session.post(f"{url}/v1/chat/completions", json=body, timeout=60).raise_for_status()


async def ask_runner(runner: TransformersRunner) -> None:
    """One token from the runner."""
    message = ChatMessage("user", (TextPart(QUESTION),))
    request = GenerationRequest(
        "bench", (message,), SamplingParams(max_tokens=1), time.monotonic() + 60
    )
    async for _ in runner.generate(request):
        pass


async def measure(url: str, num_calls: int) -> Latencies:
    """Both calls in turn, after a warm-up of a tenth of them."""
    runner = TransformersRunner(Settings())
    await runner.start()
    while runner.state != "ready":  # noqa: ASYNC110 - whoever asks for readiness polls it
        await asyncio.sleep(0.1)
    latencies = Latencies([], [])
    with requests.Session() as session:
        for index in range(num_calls + num_calls // 10):
            began_s = time.perf_counter()
            ask_over_http(session, url)
            between_s = time.perf_counter()
            await ask_runner(runner)
            ended_s = time.perf_counter()
            if index >= num_calls // 10:
                latencies.http_ms.append((between_s - began_s) * 1000)
                latencies.bare_ms.append((ended_s - between_s) * 1000)
    await runner.close()
    return latencies


def main() -> None:
    """Measure, print the table and keep it in ``build/bench-http.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    num_calls = parser.parse_args().calls
    with served() as url:
        table = asyncio.run(measure(url, num_calls)).table()
    print(table)
    Path("build").mkdir(exist_ok=True)
    Path("build/bench-http.md").write_text(table + "\n")


if __name__ == "__main__":
    main()
