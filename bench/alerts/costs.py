"""What rules and streams cost the service: processor seconds, so that other load counts little.

Cameras are files that loop, so that nothing but the service computes; still pictures are judged
like all others, and no look begins an event, whose clip would cost more than many looks. What
capture takes without any rule is measured too, and taken off.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import requests

from bench.alerts.service import (
    FPS,
    ONE_THREAD,
    SIZE,
    SUBJECTS,
    TIMEOUT_S,
    Subject,
    add_rules,
    add_stream,
    delete_rules,
    processor_s,
    service_family,
    statuses,
)
from demo.acts import play
from demo.camera import size
from demo.drawing import U8, Stage
from demo.files import Encoding, write_video
from demo.serving import served

NUM_RULES = (1, 2, 5, 10, 20)
NUM_STREAMS = (1, 2, 4, 8)
RULES_EACH = 5  # on every stream, where streams are counted
LOOP_S = 30.0
INTERVAL_S = 0.2
SAMPLE_FPS = 5
ROUNDS = 3
LOOK = {"window": {"seconds": 2, "frames": 4}, "on_threshold": 1, "off_threshold": 0}
SETTLE_S = 2.0


def scenery(seed: int) -> Iterator[U8]:
    """Half a minute of a play."""
    acts = play(seed)
    act = next(acts)
    stage = Stage(act.scene, size(SIZE))
    for time_s in np.arange(0, LOOP_S, 1 / float(FPS)):
        if time_s >= act.end_s:
            act = next(acts)
            stage = Stage(act.scene, size(SIZE))
        yield stage.frame(act.moment(float(time_s)))


def write_scenery(folder: Path) -> None:
    """One file for each stream."""
    for index in range(max(NUM_STREAMS)):
        encoding = Encoding(size(SIZE), Fraction(FPS))
        write_video(folder / f"{index}.mp4", scenery(index), encoding)


class Meter:
    """Measures the service at ``url``.

    Args:
        family: Its processes.
        seconds: How long a measurement is.
    """

    def __init__(self, url: str, family: list[psutil.Process], seconds: float) -> None:
        self.url = url
        self._family = family
        self._seconds = seconds

    def share(self) -> float:
        """Processor time over wall time, of one core, with nobody asking."""
        time.sleep(SETTLE_S)
        began_s, used_s = time.monotonic(), processor_s(self._family)
        time.sleep(self._seconds)
        return (processor_s(self._family) - used_s) / (time.monotonic() - began_s)

    def look_s(self, subjects: tuple[Subject, ...], idle: float) -> float:
        """Processor seconds of one look for these rules; ``idle`` is the share without rules."""
        add_rules(self.url, subjects, interval_s=INTERVAL_S, stream_id="0", **LOOK)
        time.sleep(SETTLE_S)
        looks, began_s, used_s = self._looks(subjects), time.monotonic(), processor_s(self._family)
        time.sleep(self._seconds)
        used_s = processor_s(self._family) - used_s - idle * (time.monotonic() - began_s)
        looks = self._looks(subjects) - looks
        delete_rules(self.url, subjects)
        return used_s / looks

    def chats_s(self, subjects: tuple[Subject, ...], idle: float) -> float:
        """Processor seconds of a chat for each of these rules, one token each."""
        began_s, used_s = time.monotonic(), processor_s(self._family)
        with requests.Session() as session:
            for subject in subjects:
                self._chat(session, subject)
        return processor_s(self._family) - used_s - idle * (time.monotonic() - began_s)

    def _looks(self, subjects: tuple[Subject, ...]) -> float:
        return statuses(self.url, subjects[0])[0]["num_looks"]

    def _chat(self, session: requests.Session, subject: Subject) -> None:
        seen = {"stream_id": "0", "last_seconds": 2, "frames": 4}  # as a look sees
        parts = [{"type": "stream", "stream": seen}, {"type": "text", "text": subject.prompt}]
        body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 1, "temperature": 0}
        reply = session.post(f"{self.url}/v1/chat/completions", json=body, timeout=TIMEOUT_S)
        reply.raise_for_status()


def rule_rows(meter: Meter) -> Iterator[str]:
    """Cost of many rules on one stream against one chat call for each."""
    looks, chats = defaultdict(list), defaultdict(list)
    for _ in range(ROUNDS):
        idle = meter.share()
        for count in NUM_RULES:
            looks[count].append(meter.look_s(SUBJECTS[:count], idle))
            chats[count].append(meter.chats_s(SUBJECTS[:count], idle))
    one_ms = statistics.median(looks[1]) * 1000
    yield "| rules | one look, processor ms | times one rule | a chat call each, processor ms |"
    yield "| --- | --- | --- | --- |"
    for count in NUM_RULES:
        look_ms = statistics.median(looks[count]) * 1000
        chat_ms = statistics.median(chats[count]) * 1000
        yield f"| {count} | {look_ms:.0f} | {look_ms / one_ms:.1f} | {chat_ms:.0f} |"


def stream_rows(meter: Meter, folder: Path) -> Iterator[str]:
    """Cost of many streams with the same rules on each."""
    rules = SUBJECTS[:RULES_EACH]
    yield "| streams | no rule, share of one core | five rules each | seconds between looks |"
    yield "| --- | --- | --- | --- |"
    for count in NUM_STREAMS:
        for index in range(count):
            if not _is_there(meter.url, str(index)):
                add_stream(meter.url, str(index), f"file://{folder}/{index}.mp4", loop=True)
        idle = meter.share()
        add_rules(meter.url, rules, **LOOK)
        share = meter.share()
        every = [one["achieved_interval_s"] for one in statuses(meter.url, rules[0])]
        delete_rules(meter.url, rules)
        yield f"| {count} | {idle:.0%} | {share:.0%} | {statistics.median(every):.2f} |"


def _is_there(url: str, stream_id: str) -> bool:
    return requests.get(f"{url}/v1/streams/{stream_id}", timeout=TIMEOUT_S).ok


def report(seconds: float) -> Iterator[str]:
    """Both tables as markdown."""
    with TemporaryDirectory(prefix="scenery-") as scratch:
        folder = Path(scratch)
        write_scenery(folder)
        variables = {"VLM_STREAM_ROOT": scratch, "VLM_STILL_LOOK_S": "0", **ONE_THREAD}
        with served(variables) as url:
            meter = Meter(url, service_family(), seconds)
            first = {"loop": True, "sample_fps": SAMPLE_FPS}
            add_stream(url, "0", f"file://{folder}/0.mp4", **first)
            yield from rule_rows(meter)
            yield ""
            requests.delete(f"{url}/v1/streams/0", timeout=TIMEOUT_S).raise_for_status()
            yield from stream_rows(meter, folder)
