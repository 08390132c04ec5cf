"""The demo world as an RTSP camera on loopback: ``python -m demo.camera --seed 7``.

Prints JSON lines: where the camera is, then what can be seen from when to when, each as soon as its
act begins. The same seed shows the same play.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from demo.acts import Act, Presence, play
from demo.drawing import U8, Stage
from live.rtsp_server.server import RtspServer

PATH = "/demo"


@dataclass(slots=True)
class DemoCamera:
    """Looks at the play; a ``live.rtsp_server.broadcast.PictureSource``.

    Attributes:
        last_s: How long the play is; ``inf`` for ever.
        now: Seconds of some clock.
    """

    size_wh: tuple[int, int]
    fps: float
    seed: int
    last_s: float = math.inf
    now: Callable[[], float] = time.monotonic
    _started_s: float = field(init=False)
    _acts: Iterator[Act] = field(init=False)
    _act: Act = field(init=False)
    _stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        self._started_s = self.now()
        self._acts = play(self.seed)
        self._next_act()

    def watched(self) -> AbstractContextManager[None]:
        """Nothing: the play goes on, watched or not."""
        return nullcontext()

    def picture(self) -> U8:
        """What the camera sees now: uint8 (H, W, 3), RGB.

        Raises:
            LookupError: The play is over.
        """
        time_s = self.time_s
        if time_s >= self.last_s:
            raise LookupError
        while time_s >= self._act.end_s:
            self._next_act()
        return self._stage.frame(self._act.moment(time_s))

    @property
    def time_s(self) -> float:
        """Of the play."""
        return self.now() - self._started_s

    def _next_act(self) -> None:
        self._act = next(self._acts)
        self._stage = Stage(self._act.scene, self.size_wh)


async def tell_play(camera: DemoCamera, began_at: datetime) -> None:
    """Print what can be seen in each act when it begins, until the play is over."""
    for act in play(camera.seed):
        await asyncio.sleep(min(act.begin_s, camera.last_s) - camera.time_s)
        if act.begin_s >= camera.last_s:
            return
        for presence in act.presences():
            say(**line_of(presence, began_at))


def say(**line: object) -> None:
    """Print a line of JSON at once."""
    print(json.dumps(line), flush=True)


def line_of(presence: Presence, began_at: datetime) -> dict[str, str]:
    """What can be seen, from when to when in the world."""
    begin, end = (
        (began_at + timedelta(seconds=time_s)).isoformat(timespec="milliseconds")
        for time_s in (presence.begin_s, presence.end_s)
    )
    return {
        "kind": presence.kind,
        "colour": presence.colour,
        "motion": presence.motion,
        "begin": begin,
        "end": end,
    }


async def publish(options: argparse.Namespace) -> None:
    """Serve the camera until its play ends."""
    began_at = datetime.now(UTC)
    last_s = options.seconds or math.inf
    camera = DemoCamera(options.size, options.fps, options.seed, last_s)
    server = RtspServer(lambda path: camera if path == PATH else None)
    await server.start(options.host, options.port)
    url = f"rtsp://{options.host}:{server.port}{PATH}"
    say(url=url, seed=options.seed, began=began_at.isoformat(timespec="milliseconds"))
    try:
        await tell_play(camera, began_at)
    finally:
        await server.close()


def size(text: str) -> tuple[int, int]:
    """Read ``1280x720``."""
    width, _, height = text.partition("x")
    return int(width) // 2 * 2, int(height) // 2 * 2


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve the demo world as an RTSP camera.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8554, help="0: any that is free")
    parser.add_argument("--size", type=size, default=(1280, 720), help="WIDTHxHEIGHT")
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=0, help="0: for ever")
    with suppress(KeyboardInterrupt):
        asyncio.run(publish(parser.parse_args()))
    sys.exit(0)


if __name__ == "__main__":
    main()
