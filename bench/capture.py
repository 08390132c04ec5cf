"""What a live camera costs: our sampling against decoding every frame; the ring; coming back.

``make bench-capture``. A camera of its own process (``bench.capture_camera``: 720p, 30 frames a
second, H.264), every measurement in a process of its own, one after another. The share is processor
time over wall time, of one core, so other load does not count. Writes ``build/bench-capture.md``.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.capture_ways import WAYS
from contracts.settings import Settings
from contracts.streams import StreamConfig, StreamState
from demo.leash import leashed
from live.streams.opening import open_streams
from media.addresses import AddressRules
from media.web_client import GuardedWebClient

TABLE = Path("build/bench-capture.md")
DOWN_S = 3.0


@contextmanager
def camera(port: int = 0) -> Iterator[str]:
    """The URL of a running camera, which is killed afterwards."""
    command = [sys.executable, "-m", "bench.capture_camera", str(port)]
    with subprocess.Popen(leashed(command), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measured(name: str, url: str, seconds: float) -> dict[str, float]:
    """One way, in a process of its own."""
    command = [sys.executable, "-m", "bench.capture_ways", name, url, str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def shares(url: str, seconds: float, rounds: int) -> Iterator[str]:
    """Rows: processor share and frames a second of each way, medians of rounds that take turns."""
    names = [name for name in WAYS if name != "ring"]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(measured(name, url, seconds))
    for name, figures in found.items():
        share = statistics.median(one["share"] for one in figures)
        fps = statistics.median(one["fps"] for one in figures)
        yield f"| {name} | {share:.1%} | {fps:.1f} |"


def returns(num_times: int) -> list[float]:
    """Seconds from a killed camera's return until the stream runs again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    streams = open_streams(Settings(), GuardedWebClient(AddressRules.parse(())))
    found = []
    try:
        with camera(port) as url:
            streams.add(StreamConfig("bench", url, datetime.now(UTC)))
            streams.wait_newer("bench", 0, timeout_s=60)
        for _ in range(num_times):
            time.sleep(DOWN_S)
            with camera(port):
                began_s = time.monotonic()
                while streams.status("bench").state is not StreamState.RUNNING:
                    time.sleep(0.01)
                found.append(time.monotonic() - began_s)
            while streams.status("bench").state is StreamState.RUNNING:
                time.sleep(0.01)
    finally:
        streams.close()
    return found


def report(seconds: float, rounds: int, restarts: int) -> Iterator[str]:
    """The whole table as markdown."""
    yield "| way | processor, share of one core | frames a second kept |"
    yield "| --- | --- | --- |"
    with camera() as url:
        yield from shares(url, seconds, rounds)
    ring = measured("ring", "", 0)
    yield ""
    yield (
        f"A minute of 720p at 4 frames a second: {ring['mb']:.0f} MB counted,"
        f" {ring['rss_mb']:.0f} MB resident, {ring['seconds']:.0f} s of look-back;"
        f" append {ring['append_ms']:.1f} ms, read {ring['read_ms']:.1f} ms"
        f" (oldest, from JPEG, {ring['old_read_ms']:.1f} ms)."
    )
    back = returns(restarts)
    yield ""
    yield (
        f"Killed, {DOWN_S:g} s away, started again, {restarts} times: running again"
        f" {statistics.median(back):.1f} s after its return (most {max(back):.1f} s)."
    )


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=5)
    options = parser.parse_args()
    lines = []
    for line in report(options.seconds, options.rounds, options.restarts):
        print(line, flush=True)
        lines.append(line)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
