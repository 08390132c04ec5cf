"""Media that come again are not decoded again, and are what they were."""

import asyncio
import io
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from contracts.errors import MediaKind, ParseError
from contracts.media import U8, PixelRange
from media.decoder import Decoder
from media.jobs import Answer, ImageJob, Job
from media.kept_decodings import KeptDecodings
from media.small_work import SMALL_BYTES
from tests.media.conftest import open_descriptors

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = ImageJob("png", 10_000, PixelRange())
SMALL = ImageJob("png", 10_000, PixelRange(max_pixels=100))
PICTURE_BYTES = 20 * 30 * 3


class Counting(Decoder):
    """A real one that counts its jobs."""

    def __init__(self) -> None:
        super().__init__(wall_s=20, memory_bytes=1 << 30, max_decoders=2)
        self.num_jobs = 0

    async def run(self, job: Job, medium: BinaryIO, kind: MediaKind) -> tuple[Answer, U8]:
        self.num_jobs += 1
        return await super().run(job, medium, kind)


Open = Callable[[int], KeptDecodings]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def decoder() -> AsyncIterator[Counting]:
    one = Counting()
    yield one
    await one.close()


def png(tmp_path: Path, value: int) -> BinaryIO:
    path = tmp_path / f"{value}.png"
    Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(path)
    return path.open("rb")


async def seen(kept: KeptDecodings, file: BinaryIO, job: Job = WHOLE) -> U8:
    with file:
        file.seek(0)
        _, rgb = await kept.run(job, file, "image")
    return rgb


async def test_the_same_content_is_decoded_once(decoder: Counting, tmp_path: Path) -> None:
    kept, before = KeptDecodings(decoder, 1 << 20), decoder.num_jobs
    first = await seen(kept, png(tmp_path, 7))
    copy = io.FileIO(os.memfd_create("copy"), "w+")
    copy.write((tmp_path / "7.png").read_bytes())
    again = await seen(kept, io.BufferedRandom(copy))
    assert decoder.num_jobs - before == 1
    assert (first == 7).all()
    assert np.array_equal(first, again)
    assert not again.flags.writeable


async def test_another_job_or_picture_is_another(decoder: Counting, tmp_path: Path) -> None:
    kept, before = KeptDecodings(decoder, 1 << 20), decoder.num_jobs
    whole = await seen(kept, png(tmp_path, 7))
    small = await seen(kept, png(tmp_path, 7), SMALL)
    other = await seen(kept, png(tmp_path, 8))
    assert decoder.num_jobs - before == 3
    assert small.size < whole.size
    assert (other == 8).all()


async def test_the_budget_holds_and_the_longest_unused_goes(
    decoder: Counting, tmp_path: Path
) -> None:
    kept, before = KeptDecodings(decoder, 2 * PICTURE_BYTES), decoder.num_jobs
    for value in (1, 2, 1, 3, 1):
        await seen(kept, png(tmp_path, value))
    assert decoder.num_jobs - before == 3
    await seen(kept, png(tmp_path, 2))
    assert decoder.num_jobs - before == 4


async def test_nothing_is_kept_without_a_budget(decoder: Counting, tmp_path: Path) -> None:
    kept, before = KeptDecodings(decoder, 0), decoder.num_jobs
    for _ in range(2):
        await seen(kept, png(tmp_path, 1))
    assert decoder.num_jobs - before == 2


async def test_a_refusal_is_not_kept(decoder: Counting, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    kept, before = KeptDecodings(decoder, 1 << 20), decoder.num_jobs
    for _ in range(2):
        with pytest.raises(ParseError):
            await seen(kept, (tmp_path / "broken.png").open("rb"))
    assert decoder.num_jobs - before == 2


async def test_what_is_kept_holds_no_descriptor(decoder: Counting, tmp_path: Path) -> None:
    kept = KeptDecodings(decoder, 1 << 20)
    await seen(kept, png(tmp_path, 0))
    before = open_descriptors()
    found = [await seen(kept, png(tmp_path, value)) for value in range(1, 6)]
    assert len(found) == 5
    assert open_descriptors() <= before


async def test_the_same_at_once_is_kept_once(decoder: Counting, tmp_path: Path) -> None:
    kept = KeptDecodings(decoder, 2 * PICTURE_BYTES)
    files = [png(tmp_path, 9) for _ in range(3)]
    found = await asyncio.gather(*(seen(kept, file) for file in files))
    assert all((rgb == 9).all() for rgb in found)
    before = decoder.num_jobs
    await seen(kept, png(tmp_path, 9))
    await seen(kept, png(tmp_path, 4))
    await seen(kept, png(tmp_path, 9))
    assert decoder.num_jobs - before == 1


async def test_callers_who_leave_early_leave_no_descriptor_behind(
    tmp_path: Path, decoder: Counting
) -> None:
    kept = KeptDecodings(decoder, 1 << 20)
    hold = threading.Event()
    loop = asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, hold.wait) for _ in range(64)]  # no thread is free
    before = open_descriptors()
    noise = np.random.default_rng(9).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > SMALL_BYTES  # else no thread is asked
    with (tmp_path / "large.png").open("rb") as file:
        left = [asyncio.create_task(kept.run(WHOLE, file, "image")) for _ in range(5)]
        await asyncio.sleep(0)
        for one in left:
            one.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    hold.set()
    await asyncio.gather(*busy)
    async with asyncio.timeout(5):
        while open_descriptors() > before:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
