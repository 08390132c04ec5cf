"""A kill at any moment loses no event and no notification."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.aftermath import check_messages, check_notifications, stored
from tests.live.receiver import receiving

ENDLESS = 1_000_000
MOST_LINES = 250  # of one life; about three looks
ROOT = Path(__file__).resolve().parents[2]


def start(data_dir: Path, url: str, first: int, last: int) -> "subprocess.Popen[bytes]":
    arguments = [str(data_dir), url, str(first), str(last)]
    command = [sys.executable, "-m", "tests.live.doomed", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def live_and_die(data_dir: Path, url: str, first: int, num_lines: int) -> int:
    """Kill a process when it has said so many lines; the number of the next look."""
    process = start(data_dir, url, first, ENDLESS)
    assert process.stdout is not None
    with process.stdout as said:
        for line in (said.readline() for _ in range(num_lines)):
            if line.startswith(b"look "):
                first = int(line.split()[1]) + 1
        process.send_signal(signal.SIGKILL)
        rest = said.read()  # what it said between our reading and its end
    assert process.wait() == -signal.SIGKILL
    return max([first, *(int(line.split()[1]) + 1 for line in rest.split(b"\n") if b"k " in line)])


def survive(data_dir: Path, url: str, num_kills: int, source: random.Random) -> None:
    first = 0
    for _ in range(num_kills):
        first = live_and_die(data_dir, url, first, source.randint(1, MOST_LINES))
    process = start(data_dir, url, first, first + 10)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    "num_kills", [3, pytest.param(20, marks=pytest.mark.slow)], ids=lambda n: f"{n}_kills"
)
async def test_whatever_is_killed_every_event_goes_on_and_every_notification_arrives(
    tmp_path: Path, num_kills: int
) -> None:
    source = random.Random(num_kills)
    with receiving() as receiver:
        receiver.refuse("/hook", *(500 if source.random() < 0.2 else 200 for _ in range(500)))
        survive(tmp_path, receiver.url("/hook"), num_kills, source)
        messages, sent = await stored(tmp_path)
        check_messages(messages)
        check_notifications(messages, sent, receiver)
    assert any(message.event.suppressed for message in messages)
    assert {message.event.type for message in messages} >= {"alert", "stream_lost"}
