"""One measurement of the capture benchmark, in a process of its own.

``python -m bench.capture_ways NAME URL SECONDS`` prints a line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import av
import cv2
import numpy as np
import psutil

from bench.capture_camera import HEIGHT, WIDTH, Panorama
from contracts.settings import Settings
from contracts.streams import StreamConfig
from live.streams.opening import MEGABYTE, WORK_BYTES, open_streams
from live.streams.ring_buffer import RingBuffer
from media.addresses import AddressRules
from media.web_client import GuardedWebClient

WARM_UP_S = 3.0

Figures = dict[str, float]


def ours(sample_fps: float) -> Callable[[str, float], Figures]:
    """The registry of the service, with its ring buffer."""

    def way(url: str, seconds: float) -> Figures:
        streams = open_streams(Settings(), GuardedWebClient(AddressRules.parse(())))
        try:
            streams.add(StreamConfig("bench", url, datetime.now(UTC), sample_fps=sample_fps))
            streams.wait_newer("bench", 0, timeout_s=60)
            time.sleep(WARM_UP_S)
            kept = streams.status("bench").frames_captured
            share = processor_share(seconds)
            status = streams.status("bench")
            return {"share": share, "fps": (status.frames_captured - kept) / seconds}
        finally:
            streams.close()

    return way


def naive(url: str, seconds: float) -> Figures:
    """Decode every frame and convert it, as the usual loop does."""
    with av.open(url, "r", options={"rtsp_transport": "tcp"}) as container:

        def frames() -> Iterator[object]:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")

        return looped(frames(), seconds)


def opencv(url: str, seconds: float) -> Figures:
    """The loop of every tutorial."""
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)

    def frames() -> Iterator[object]:
        while True:
            yield capture.read()[1]

    return looped(frames(), seconds)


def looped(frames: Iterator[object], seconds: float) -> Figures:
    """What a loop over all frames takes."""
    until_s = time.monotonic() + WARM_UP_S
    while time.monotonic() < until_s:
        next(frames)
    began_s, used_s, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() - began_s < seconds:
        next(frames)
        count += 1
    span_s = time.monotonic() - began_s
    return {"share": (time.process_time() - used_s) / span_s, "fps": count / span_s}


def processor_share(seconds: float) -> float:
    """Processor time of this process over wall time, while other threads work."""
    began_s, used_s = time.monotonic(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used_s) / (time.monotonic() - began_s)


def ring(url: str, seconds: float) -> Figures:
    """Memory of a minute at 4 frames a second, by our count and by the system's."""
    picture = Panorama().picture()
    process = psutil.Process()
    warm = RingBuffer(seconds=1, max_bytes=16_000_000)
    for index in range(40):
        warm.append(picture[:90, :160], index * 0.25, datetime.now(UTC))
    before = process.memory_info().rss
    buffer = RingBuffer(seconds=60, max_bytes=Settings().ring_mb * MEGABYTE - WORK_BYTES)
    began_s = time.process_time()
    for index in range(300):
        buffer.append(picture, index * 0.25, datetime.now(UTC))
    append_s = (time.process_time() - began_s) / 300
    grown = process.memory_info().rss - before
    reads = timed(lambda: buffer.read(buffer.entries[-1]))
    old_reads = timed(lambda: buffer.read(buffer.entries[0]))
    status = buffer.status
    assert picture.shape == (HEIGHT, WIDTH, 3)
    return {
        "mb": status.num_bytes / 1e6,
        "rss_mb": grown / 1e6,
        "seconds": status.seconds,
        "append_ms": append_s * 1e3,
        "read_ms": reads * 1e3,
        "old_read_ms": old_reads * 1e3,
    }


def timed(call: Callable[[], object], count: int = 50) -> float:
    """Processor seconds of one call."""
    began_s = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - began_s) / count


WAYS: Mapping[str, Callable[[str, float], Figures]] = {
    "ours, 1 fps": ours(1.0),
    "ours, 2 fps": ours(2.0),
    "ours, 4 fps": ours(4.0),
    "PyAV, every frame": naive,
    "OpenCV, every frame": opencv,
    "ring": ring,
}


if __name__ == "__main__":
    np.seterr(all="raise")
    print(json.dumps(WAYS[sys.argv[1]](sys.argv[2], float(sys.argv[3]))))
