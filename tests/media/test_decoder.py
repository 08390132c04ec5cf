"""Real decoder processes, hurt for real: what dies is the decoder, never the service."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.errors import DecodeLimit, ParseError, RunnerError, ShuttingDown
from contracts.media import U8, FrameSampling, PixelRange
from media.decoder import CLIP_SERVER, MAX_READ_BYTES, PICTURE_SERVER, Decoder
from media.jobs import Answer, ClipJob, ImageJob
from tests.media.conftest import Corpus, MadeClip, children_of, open_descriptors

MEMORY_BYTES = 2 << 30
PATIENCE_S = 120  # other work may hold the processors
NUM_FRAMES = 6000  # enough to be found at work
LONG_JOB = ClipJob(
    sampling=FrameSampling(),
    default_num_frames=NUM_FRAMES,
    max_frames=NUM_FRAMES,
    max_pixels=8192 * 4320,
    size_wh=None,
    pixels=PixelRange(),
    decoder="pyav",
    is_known_format=True,
)
QUICK_JOB = replace(LONG_JOB, default_num_frames=1)
ROOT = Path(__file__).resolve().parents[2]


MakeDecoder = Callable[..., Decoder]


@pytest.fixture
async def make_decoder() -> AsyncIterator[MakeDecoder]:
    made: list[Decoder] = []

    def make(
        wall_s: float = PATIENCE_S, memory_bytes: int = MEMORY_BYTES, max_decoders: int = 1
    ) -> Decoder:
        made.append(Decoder(wall_s=wall_s, memory_bytes=memory_bytes, max_decoders=max_decoders))
        return made[-1]

    yield make
    for decoder in made:
        await decoder.close()


@pytest.fixture
def decoder(make_decoder: MakeDecoder) -> Decoder:
    return make_decoder()


@pytest.fixture
def clip(corpus: Corpus) -> MadeClip:
    return corpus["many_frames"]


def proc_text(pid: int | None, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


async def run(decoder: Decoder, clip: MadeClip, job: ClipJob = LONG_JOB) -> tuple[Answer, U8]:
    with clip.path.open("rb") as medium:
        return await decoder.run(job, medium, "video")


async def decode_png(decoder: Decoder, picture: Image.Image) -> tuple[Answer, U8]:
    job = ImageJob("png", picture.width * picture.height, PixelRange())
    with tempfile.TemporaryFile() as medium:
        picture.save(medium, "PNG")
        medium.flush()
        return await decoder.run(job, medium, "image")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.001)


async def started(decoder: Decoder, clip: MadeClip) -> None:
    """Have its server running: only the first job waits for it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(DecodeLimit):  # starting it took the whole limit
                await run(decoder, clip, QUICK_JOB)
                break
    await until(lambda: not at_work(decoder))


def server_of(decoder: Decoder) -> int:
    """The server of clips; 0 before there is one."""
    return decoder.server_pid(CLIP_SERVER) or 0


def at_work(decoder: Decoder) -> list[int]:
    """Decoders that have a job."""
    return [pid for pid in children_of(server_of(decoder)) if is_at_work(pid)]


def is_at_work(pid: int) -> bool:
    links = " ".join(links_of(pid))
    return "pixels" in links and "eventpoll" not in links  # else it is a fork of the server still


def links_of(pid: int) -> list[str]:
    """What a process has open, its three standard files aside."""
    with contextlib.suppress(OSError):  # it has ended
        return [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if int(fd.name) > 2]
    return []


async def waiting_spare(decoder: Decoder) -> int:
    """The only decoder left: it has rehearsed, and sleeps until a job comes."""
    await until(lambda: [is_waiting(pid) for pid in children_of(server_of(decoder))] == [True])
    (pid,) = children_of(server_of(decoder))
    return pid


def is_waiting(pid: int) -> bool:
    with contextlib.suppress(OSError):  # it has ended
        is_asleep = proc_text(pid, "stat").rpartition(") ")[2].startswith("S")
        return is_asleep and len(links_of(pid)) == 1
    return False


async def stopped_child(decoder: Decoder) -> int:
    """A decoder at work, held where it is."""
    await until(lambda: bool(at_work(decoder)))
    (pid,) = at_work(decoder)
    os.kill(pid, signal.SIGSTOP)
    return pid


async def test_a_crash_is_a_parse_error_and_the_next_job_works(
    decoder: Decoder, clip: MadeClip
) -> None:
    job = asyncio.create_task(run(decoder, clip))
    pid = await stopped_child(decoder)
    os.kill(pid, signal.SIGSEGV)
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(ParseError, match="crashed"):
        await job
    assert len((await run(decoder, clip, QUICK_JOB))[1]) == 1


async def test_a_hang_ends_at_the_wall_limit_and_leaves_no_process(
    make_decoder: MakeDecoder, clip: MadeClip
) -> None:
    decoder = make_decoder(wall_s=2)
    await started(decoder, clip)
    job = asyncio.create_task(run(decoder, clip))
    await stopped_child(decoder)
    with pytest.raises(DecodeLimit, match="longer than 2 s"):
        await job
    await until(lambda: not at_work(decoder))


async def test_too_much_processor_time_is_a_limit(decoder: Decoder, clip: MadeClip) -> None:
    job = asyncio.create_task(run(decoder, clip))
    pid = await stopped_child(decoder)
    os.kill(pid, signal.SIGXCPU)
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(DecodeLimit, match="processor"):
        await job


def test_a_spinning_decoder_is_ended_by_its_processor_limit() -> None:
    script = (
        "from media.decoder_process import limit_process; from media.jobs import Limits\n"
        "limit_process(Limits(memory_bytes=2 << 30, cpu_s=1))\n"
        "while True: pass"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, timeout=PATIENCE_S
    )
    assert ended.returncode == -signal.SIGXCPU


async def test_a_bomb_is_a_limit_and_the_next_job_works(
    make_decoder: MakeDecoder, corpus: Corpus, clip: MadeClip
) -> None:
    decoder = make_decoder(memory_bytes=350 << 20)
    bomb = replace(LONG_JOB, max_pixels=1 << 30, size_wh=None)
    with pytest.raises(DecodeLimit, match="memory"):
        await run(decoder, corpus["huge_legal"], bomb)
    assert len((await run(decoder, clip, QUICK_JOB))[1]) == 1


async def test_a_cancelled_job_kills_its_decoder(decoder: Decoder, clip: MadeClip) -> None:
    job = asyncio.create_task(run(decoder, clip))
    await stopped_child(decoder)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await until(lambda: not at_work(decoder))


async def test_no_more_than_the_asked_decoders_run_at_a_time(
    decoder: Decoder, clip: MadeClip
) -> None:
    first = asyncio.create_task(run(decoder, clip))
    second = asyncio.create_task(run(decoder, clip, QUICK_JOB))
    held = await stopped_child(decoder)
    for _ in range(100):
        await asyncio.sleep(0)
        assert at_work(decoder) == [held]
    os.kill(held, signal.SIGKILL)
    with pytest.raises(DecodeLimit):
        await first
    assert len((await second)[1]) == 1


async def test_a_server_that_ends_is_our_fault_and_is_started_again(
    decoder: Decoder, clip: MadeClip
) -> None:
    job = asyncio.create_task(run(decoder, clip))
    held = await stopped_child(decoder)
    killed = server_of(decoder)
    os.kill(killed, signal.SIGKILL)
    os.kill(held, signal.SIGCONT)
    with pytest.raises(RunnerError):
        await job
    assert len((await run(decoder, clip, QUICK_JOB))[1]) == 1
    assert server_of(decoder) != killed


async def test_closing_ends_running_jobs_and_refuses_new_ones(
    decoder: Decoder, clip: MadeClip
) -> None:
    job = asyncio.create_task(run(decoder, clip))
    await stopped_child(decoder)
    await decoder.close()
    with pytest.raises(ShuttingDown):
        await job
    with pytest.raises(ShuttingDown):
        await run(decoder, clip)


async def test_nothing_is_left_behind(
    make_decoder: MakeDecoder, corpus: Corpus, clip: MadeClip
) -> None:
    descriptors, children = open_descriptors(), children_of(os.getpid())
    decoder = make_decoder()
    for _ in range(3):
        await run(decoder, clip, QUICK_JOB)
        with pytest.raises(ParseError):
            await run(decoder, corpus["audio_only"])
    await until(lambda: not at_work(decoder))
    job = asyncio.create_task(run(decoder, clip))
    await stopped_child(decoder)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await decoder.close()
    assert open_descriptors() <= descriptors
    assert children_of(os.getpid()) == children


async def test_every_job_has_a_decoder_of_its_own(decoder: Decoder, clip: MadeClip) -> None:
    await run(decoder, clip, QUICK_JOB)
    pids = []
    for _ in range(3):
        pids.append(await waiting_spare(decoder))
        job = asyncio.create_task(run(decoder, clip))
        pids.append(await stopped_child(decoder))
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        await until(lambda: not at_work(decoder))
    assert pids[::2] == pids[1::2]
    assert len(set(pids)) == 3


async def test_a_spare_that_crashes_costs_no_job(decoder: Decoder, clip: MadeClip) -> None:
    await run(decoder, clip, QUICK_JOB)
    crashed = await waiting_spare(decoder)
    os.kill(crashed, signal.SIGSEGV)
    await until(lambda: not children_of(server_of(decoder)))
    assert len((await run(decoder, clip, QUICK_JOB))[1]) == 1
    assert await waiting_spare(decoder) != crashed


async def test_a_waiting_spare_holds_nothing_but_its_intake(
    decoder: Decoder, clip: MadeClip
) -> None:
    jobs = [asyncio.create_task(run(decoder, clip, QUICK_JOB)) for _ in range(3)]
    await asyncio.gather(*jobs)
    (link,) = links_of(await waiting_spare(decoder))
    assert link.startswith("socket:")


async def test_closing_ends_spares(decoder: Decoder, clip: MadeClip) -> None:
    await run(decoder, clip, QUICK_JOB)
    spare = await waiting_spare(decoder)
    await decoder.close()
    with pytest.raises(ProcessLookupError):
        os.kill(spare, 0)


@pytest.mark.parametrize("size_wh", [(8, 6), (800, 600)])
async def test_few_pixels_are_read_and_many_are_mapped(
    decoder: Decoder, size_wh: tuple[int, int]
) -> None:
    width, height = size_wh
    ramp = np.arange(width * height * 3, dtype=np.uint32).astype(np.uint8)
    expected = ramp.reshape(height, width, 3)
    _, rgb = await decode_png(decoder, Image.fromarray(expected))
    assert (rgb[0] == expected).all()
    assert rgb.flags.writeable
    assert rgb.flags.owndata == (rgb.nbytes <= MAX_READ_BYTES)


async def test_pictures_are_decoded_without_the_video_libraries(decoder: Decoder) -> None:
    await decode_png(decoder, Image.new("RGB", (8, 8)))
    assert "libavcodec" not in proc_text(decoder.server_pid(PICTURE_SERVER), "maps")


async def test_decoders_know_nothing_of_the_services_environment(
    decoder: Decoder, clip: MadeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_API_KEYS", "secret")
    await run(decoder, clip, QUICK_JOB)
    assert "secret" not in proc_text(server_of(decoder), "environ")
    assert "torch" not in proc_text(server_of(decoder), "maps")


def test_the_server_ends_with_a_service_that_was_killed(clip: MadeClip) -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from media.decoder import Decoder\n"
        "from tests.media.test_decoder import QUICK_JOB\n"
        "async def main():\n"
        "    decoder = Decoder(wall_s=30, memory_bytes=2 << 30, max_decoders=1)\n"
        "    await decoder.run(QUICK_JOB, open(sys.argv[1], 'rb'), 'video')\n"
        "    print(decoder.server_pid('media.clip_server'), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())"
    )
    service = subprocess.run(
        [sys.executable, "-c", script, str(clip.path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert service.returncode == -signal.SIGKILL, service.stderr
    try:
        server = os.pidfd_open(int(service.stdout))
    except ProcessLookupError:
        return  # it has ended already
    ended, _, _ = select.select([server], [], [], PATIENCE_S)
    os.close(server)
    assert ended, "the server outlived its service"
