"""Frames sampled from a video: our path against decord, torchcodec, OpenCV and plain PyAV.

``make bench-media`` makes the clips once, runs every measurement in a process of its own, backends
taking turns, and writes ``build/bench-media.md``. Every backend delivers the same thing: the asked
frames of a 1080p file as RGB, squashed to 384x384 by Pillow's bicubic filter, as the model takes
them. "Exact" counts pictures that carry the number of the very frame asked for.

Processor time is that of the work alone, imports left out; for our isolated reader it includes the
decoder process. Peak memory is the process's largest resident size, for the isolated reader that of
its decoder plus the frames handed over.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.media_clips import CLIPS, BenchClip, make_clip, read_number

U8 = npt.NDArray[np.uint8]
FOLDER = Path("build/bench-media")
TABLE = Path("build/bench-media.md")
SIZE_WH = (384, 384)
COUNTS = (16, 32, 64)
SLOW = ("opencv_seek", "opencv_sequential", "pyav_full_decode")
TIME_OUT_S = 300
SETTLE_S = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: seconds, megabytes, and how many frames were the ones asked for."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    num_frames: int
    num_exact: int


def wanted_indices(clip: BenchClip, count: int) -> list[int]:
    """Evenly from the first to the last frame, both included, cut down to whole frames."""
    return [i * (clip.num_frames - 1) // (count - 1) for i in range(count)]


def squash(rgb: U8) -> U8:
    """To what the model takes."""
    picture = Image.fromarray(rgb).resize(SIZE_WH, Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


def self_cpu_s() -> float:
    """Processor time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def ended_children_cpu_s(pid: int) -> float:
    """Processor time of a process's children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def measured(
    sample: Callable[[Path, list[int]], Sequence[U8] | U8], path: Path, indices: list[int]
) -> Run:
    """Measure a backend that works in this process; it is imported already."""
    started_s, started_cpu_s = time.perf_counter(), self_cpu_s()
    frames = sample(path, indices)
    wall_s, cpu_s = time.perf_counter() - started_s, self_cpu_s() - started_cpu_s
    return Run(wall_s, cpu_s, own_peak_mb(), len(frames), count_exact(frames, indices))


def own_peak_mb() -> float:
    """Largest resident size of this process; getrusage would count its parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def count_exact(frames: Sequence[U8] | U8, indices: list[int]) -> int:
    """How many pictures carry the number asked for in their place."""
    return sum(read_number(rgb) == index for rgb, index in zip(frames, indices, strict=False))


def run_isolated(path: Path, indices: list[int]) -> Run:
    """Our reader, as the service calls it; the fork server is warm, as in a service."""
    from contracts.media import FramePolicy, FrameSampling, PixelRange, UploadedFile
    from contracts.settings import Settings
    from media.decoder import CLIP_SERVER
    from media.reader import IsolatedMediaReader

    async def measure() -> Run:
        reader = IsolatedMediaReader(Settings())
        policy = FramePolicy(len(indices), SIZE_WH)
        await reader.read_clip(
            UploadedFile(warm_up_clip()), FrameSampling(), policy=policy, pixels=PixelRange()
        )
        server = reader._decoder.server_pid(CLIP_SERVER) or 0
        await asyncio.sleep(SETTLE_S)
        before_s, started_s = ended_children_cpu_s(server) + self_cpu_s(), time.perf_counter()
        clip = await reader.read_clip(
            UploadedFile(path), FrameSampling(), policy=policy, pixels=PixelRange()
        )
        wall_s = time.perf_counter() - started_s
        await asyncio.sleep(SETTLE_S)  # the decoder counts when it has ended, after its answer
        cpu_s = ended_children_cpu_s(server) + self_cpu_s() - before_s
        await reader.close()
        frames = [frame.rgb for frame in clip.frames]
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        handed_mb = sum(rgb.nbytes for rgb in frames) / 2**20
        exact = count_exact(frames, indices)
        return Run(wall_s, cpu_s, peak_mb + handed_mb, len(frames), exact)

    return asyncio.run(measure())


def warm_up_clip() -> Path:
    """A small clip whose decoding starts the fork server."""
    path = FOLDER / "warm_up.gif"
    Image.new("RGB", (8, 8)).save(path)
    return path


def run_core(path: Path, indices: list[int]) -> Run:
    """The same core without a process of its own."""
    from contracts.media import FrameSampling, PixelRange
    from media.clips import read_clip
    from media.jobs import ClipJob, PixelSink

    def sample(path: Path, indices: list[int]) -> U8:
        job = ClipJob(
            FrameSampling(),
            len(indices),
            len(indices),
            8192 * 4320,
            SIZE_WH,
            PixelRange(),
            "pyav",
            True,
        )
        with path.open("rb") as medium, tempfile.TemporaryFile() as output:
            read_clip(job, medium.fileno(), PixelSink(output.fileno(), 1 << 30, "video"))
            output.seek(0)
            return np.fromfile(output, np.uint8).reshape(-1, SIZE_WH[1], SIZE_WH[0], 3)

    return measured(sample, path, indices)


def run_decord(path: Path, indices: list[int]) -> Run:
    """Decord 0.6, one thread."""
    from decord import VideoReader

    def sample(path: Path, indices: list[int]) -> list[U8]:
        reader = VideoReader(str(path), num_threads=1)
        return [squash(reader[index].asnumpy()) for index in indices]

    return measured(sample, path, indices)


def run_torchcodec(path: Path, indices: list[int]) -> Run:
    """Torchcodec 0.13, exact seeking, one thread; needs the system's FFmpeg."""
    from torchcodec.decoders import VideoDecoder

    def sample(path: Path, indices: list[int]) -> list[U8]:
        decoder = VideoDecoder(
            str(path), seek_mode="exact", num_ffmpeg_threads=1, dimension_order="NHWC"
        )
        return [squash(decoder[index].numpy()) for index in indices]

    return measured(sample, path, indices)


def run_opencv_seek(path: Path, indices: list[int]) -> Run:
    """OpenCV, setting the position for each frame."""
    import cv2

    def sample(path: Path, indices: list[int]) -> list[U8]:
        capture, frames = cv2.VideoCapture(str(path)), []
        for index in indices:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            frames.append(squash(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)))
        return frames

    return measured(sample, path, indices)


def run_opencv_sequential(path: Path, indices: list[int]) -> Run:
    """OpenCV, grabbing every frame and retrieving the wanted ones."""
    import cv2

    def sample(path: Path, indices: list[int]) -> list[U8]:
        capture, frames, wanted = cv2.VideoCapture(str(path)), [], set(indices)
        for index in range(indices[-1] + 1):
            capture.grab()
            if index in wanted:
                frames.append(squash(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)))
        return frames

    return measured(sample, path, indices)


def run_pyav_full_decode(path: Path, indices: list[int]) -> Run:
    """PyAV as in its first tutorial: decode everything, keep the wanted frames."""
    import av

    def sample(path: Path, indices: list[int]) -> list[U8]:
        wanted = set(indices)
        with av.open(str(path)) as container:
            return [
                squash(frame.to_ndarray(format="rgb24"))  # type: ignore[arg-type]
                for index, frame in enumerate(container.decode(video=0))
                if index in wanted
            ]

    return measured(sample, path, indices)


BACKENDS: dict[str, Callable[[Path, list[int]], Run]] = {
    "ours_isolated": run_isolated,
    "ours_in_process": run_core,
    "decord": run_decord,
    "torchcodec": run_torchcodec,
    "opencv_seek": run_opencv_seek,
    "opencv_sequential": run_opencv_sequential,
    "pyav_full_decode": run_pyav_full_decode,
}


def run_in_child(backend: str, clip: BenchClip, count: int) -> Run | str:
    """One measurement in a process of its own, or the last line of what went wrong."""
    command = [sys.executable, "-m", "bench.media", "--one", backend, clip.name, str(count)]
    try:
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=TIME_OUT_S
        )
    except subprocess.TimeoutExpired:
        return f"longer than {TIME_OUT_S} s"
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
    return Run(**json.loads(ended.stdout.splitlines()[-1]))


def measure_all(
    rounds: int, backends: Sequence[str], clips: Sequence[BenchClip], counts: Sequence[int]
) -> list[str]:
    """Every clip, count and backend, taking turns; the rows of the table."""
    rows = []
    for clip in clips:
        for count in counts:
            runs: dict[str, list[Run | str]] = {backend: [] for backend in backends}
            for turn in range(rounds):
                for backend in backends:
                    if turn == 0 or backend not in SLOW:
                        runs[backend].append(run_in_child(backend, clip, count))
            rows += [table_row(clip, count, backend, runs[backend]) for backend in backends]
            print(*rows[-len(backends) :], sep="\n", flush=True)
    return rows


def table_row(clip: BenchClip, count: int, backend: str, runs: Sequence[Run | str]) -> str:
    """One line: medians, and the worst peak and exactness."""
    good = [run for run in runs if isinstance(run, Run)]
    if not good:
        return f"| {clip.name} | {count} | {backend} | not available: {runs[0]} | | | | | |"
    cpu_s = statistics.median(run.cpu_s for run in good)
    wall_s = statistics.median(run.wall_s for run in good)
    cells = (
        f"{min(run.num_exact for run in good)}/{count}",
        f"{cpu_s:.2f}",
        f"{wall_s:.2f}",
        f"{count / cpu_s:.1f}",
        f"{count / wall_s:.1f}",
        f"{max(run.peak_mb for run in good):.0f}",
    )
    return f"| {clip.name} | {count} | {backend} | {' | '.join(cells)} |"


HEADER = (
    "| clip | frames | backend | exact | CPU s | wall s | frames per CPU s | frames per wall s"
    " | peak MB |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Run one measurement, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("BACKEND", "CLIP", "COUNT"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", nargs="*", default=list(BACKENDS), choices=BACKENDS)
    names = [clip.name for clip in CLIPS]
    parser.add_argument("--clips", nargs="*", default=names, choices=names)
    parser.add_argument("--counts", nargs="*", type=int, default=list(COUNTS))
    arguments = parser.parse_args()
    if arguments.one:
        backend, name, count = arguments.one
        clip = next(clip for clip in CLIPS if clip.name == name)
        run = BACKENDS[backend](FOLDER / clip.file_name, wanted_indices(clip, int(count)))
        print(json.dumps(asdict(run)))
        return
    clips = [clip for clip in CLIPS if clip.name in arguments.clips]
    for clip in clips:
        make_clip(clip, FOLDER)
    print(HEADER)
    rows = measure_all(arguments.rounds, arguments.backends, clips, arguments.counts)
    TABLE.write_text("\n".join([HEADER, *rows]) + "\n")


if __name__ == "__main__":
    main()
