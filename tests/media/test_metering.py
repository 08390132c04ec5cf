"""Media that are read are counted, whatever comes of them."""

import asyncio
import contextlib

import pytest

from contracts.errors import InvalidUrl, RequestError, TooManyFrames
from contracts.media import (
    FrameList,
    FramePolicy,
    FrameSampling,
    MediaSource,
    MediaUrl,
    PixelRange,
)
from media.metering import MeteredReader
from tests.api.fakes import FakeMedia

ANY, POLICY = PixelRange(), FramePolicy(3)


@pytest.fixture
def reader() -> MeteredReader:
    errors = {
        "bad": InvalidUrl("no", kind="image"),
        "video bad": TooManyFrames("no"),
        "broken": ValueError("a fault of ours"),
    }
    return MeteredReader(FakeMedia(errors))


async def read(reader: MeteredReader, url: str) -> None:
    await reader.read_image_or_clip(MediaUrl(url), policy=POLICY, pixels=ANY)


async def test_results_are_counted_by_kind_and_code(reader: MeteredReader) -> None:
    await reader.read_image(MediaUrl("a"), pixels=ANY)
    await reader.read_clip(MediaUrl("b"), FrameSampling(), policy=POLICY, pixels=ANY)
    for url in ("a", "a video", "bad", "video bad", "broken"):
        with contextlib.suppress(RequestError, ValueError):
            await read(reader, url)
    assert reader.stats().results == {
        ("image", "ok"): 2,
        ("video", "ok"): 2,
        ("image", "invalid_image_url"): 1,
        ("video", "too_many_frames"): 1,
        ("image", "server_error"): 1,
    }


async def test_decoding_is_timed_by_kind(reader: MeteredReader) -> None:
    for url in ("a", "a", "a video", "bad"):
        with contextlib.suppress(RequestError):
            await read(reader, url)
    decode_s = reader.stats().decode_s
    assert {kind: (one.counts[-1], one.sum_s) for kind, one in decode_s.items()} == {
        "image": (2, 0.006),
        "video": (1, 0.12),
    }


@pytest.mark.parametrize(
    ("source", "num_downloads"),
    [
        (MediaUrl("data:video/mp4;base64,AAAA"), 0),
        (MediaUrl("HTTPS://a.example/video.mp4"), 1),
        (FrameList(("AAAA", "AAAA")), 0),
        (FrameList(("AAAA", "http://a.example/1.jpg")), 1),
    ],
)
async def test_only_downloads_count_as_fetched(
    reader: MeteredReader, source: MediaSource, num_downloads: int
) -> None:
    await reader.read_clip(source, FrameSampling(), policy=POLICY, pixels=ANY)
    assert sum(one.counts[-1] for one in reader.stats().fetch_s.values()) == num_downloads


async def test_what_nobody_waited_for_does_not_count(reader: MeteredReader) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await read(reader, "hang")
    assert reader.stats().results == {}


async def test_the_caller_is_told_of_a_video(reader: MeteredReader) -> None:
    told = []
    await reader.read_image_or_clip(
        MediaUrl("a video"), policy=POLICY, pixels=ANY, on_clip=lambda: told.append(1)
    )
    assert told == [1]
