"""The camera of the capture benchmark: ``python -m bench.capture_camera PORT``.

720p at 30 frames a second, a panning noisy picture, so that the encoder uses its 2.8 Mbit/s; a key
frame a second.
"""

import asyncio
import sys
import time
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from contracts.media import U8
from live.rtsp_server.server import RtspServer

WIDTH, HEIGHT, FPS = 1280, 720, 30
PATH = "/bench"
SPEED_PX_S = 60


class Panorama:
    """A ``live.rtsp_server.broadcast.PictureSource`` that pans over a wide picture."""

    size_wh = (WIDTH, HEIGHT)
    fps = FPS

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        coarse = rng.integers(30, 220, (HEIGHT // 16 + 1, WIDTH // 4, 3))
        smooth = coarse.repeat(16, axis=0).repeat(16, axis=1)[:HEIGHT, : 3 * WIDTH]
        grain = rng.normal(0, 5, smooth.shape)
        self._wide = np.clip(smooth + grain, 0, 255).astype(np.uint8)

    def watched(self) -> AbstractContextManager[None]:
        """Nothing: it pans, watched or not."""
        return nullcontext()

    def picture(self) -> U8:
        """What is seen now."""
        left = int(time.monotonic() * SPEED_PX_S) % (2 * WIDTH)
        return np.ascontiguousarray(self._wide[:, left : left + WIDTH])


async def serve(port: int) -> None:
    """Serve for ever; prints the URL."""
    panorama = Panorama()
    server = RtspServer(lambda path: panorama if path == PATH else None)
    await server.start("127.0.0.1", port)
    print(f"rtsp://127.0.0.1:{server.port}{PATH}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
