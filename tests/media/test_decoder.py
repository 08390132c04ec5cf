"""Real decoder processes, hurt for real: what dies is the decoder, never the service."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import DecodeLimit, ParseError, RunnerError, ShuttingDown
from contracts.media import U8, FrameSampling, PixelRange
from media.decoder import Decoder
from media.jobs import Answer, ClipJob
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
                return


async def stopped_child(decoder: Decoder) -> int:
    """A decoder at work, held where it is."""
    await until(lambda: bool(decoder.server_pid and children_of(decoder.server_pid)))
    (pid,) = children_of(decoder.server_pid or 0)
    os.kill(pid, signal.SIGSTOP)
    return pid


async def test_a_crash_is_a_parse_error_and_the_next_job_works(
    decoder: Decoder, clip: MadeClip
) -> None:
    job = asyncio.create_task(run(decoder, clip))
    os.kill(await stopped_child(decoder), signal.SIGSEGV)
    os.kill(children_of(decoder.server_pid or 0)[0], signal.SIGCONT)
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
    await until(lambda: not children_of(decoder.server_pid or 0))


async def test_too_much_processor_time_is_a_limit(decoder: Decoder, clip: MadeClip) -> None:
    job = asyncio.create_task(run(decoder, clip))
    pid = await stopped_child(decoder)
    os.kill(pid, signal.SIGXCPU)
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(DecodeLimit, match="processor"):
        await job


def test_a_spinning_decoder_is_ended_by_its_processor_limit() -> None:
    script = (
        "from media.fork_server import limit_process; from media.jobs import Limits\n"
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
    await until(lambda: not children_of(decoder.server_pid or 0))


async def test_no_more_than_the_asked_decoders_run_at_a_time(
    decoder: Decoder, clip: MadeClip
) -> None:
    first = asyncio.create_task(run(decoder, clip))
    second = asyncio.create_task(run(decoder, clip, QUICK_JOB))
    held = await stopped_child(decoder)
    for _ in range(100):
        await asyncio.sleep(0)
        assert children_of(decoder.server_pid or 0) == [held]
    os.kill(held, signal.SIGKILL)
    with pytest.raises(DecodeLimit):
        await first
    assert len((await second)[1]) == 1


async def test_a_server_that_ends_is_our_fault_and_is_started_again(
    decoder: Decoder, clip: MadeClip
) -> None:
    job = asyncio.create_task(run(decoder, clip))
    held = await stopped_child(decoder)
    killed = decoder.server_pid
    os.kill(killed or 0, signal.SIGKILL)
    os.kill(held, signal.SIGCONT)
    with pytest.raises(RunnerError):
        await job
    assert len((await run(decoder, clip, QUICK_JOB))[1]) == 1
    assert decoder.server_pid != killed


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
    job = asyncio.create_task(run(decoder, clip))
    await stopped_child(decoder)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await decoder.close()
    assert open_descriptors() <= descriptors
    assert children_of(os.getpid()) == children


async def test_decoders_know_nothing_of_the_services_environment(
    decoder: Decoder, clip: MadeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_API_KEYS", "secret")
    await run(decoder, clip, QUICK_JOB)
    assert "secret" not in proc_text(decoder.server_pid, "environ")
    assert "torch" not in proc_text(decoder.server_pid, "maps")


def test_the_server_ends_with_a_service_that_was_killed(clip: MadeClip) -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from media.decoder import Decoder\n"
        "from tests.media.test_decoder import QUICK_JOB\n"
        "async def main():\n"
        "    decoder = Decoder(wall_s=30, memory_bytes=2 << 30, max_decoders=1)\n"
        "    await decoder.run(QUICK_JOB, open(sys.argv[1], 'rb'), 'video')\n"
        "    print(decoder.server_pid, flush=True)\n"
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
