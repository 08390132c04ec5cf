"""What a live stream shows over HTTP."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import av
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from api.app import build_app
from api.deps import ServiceDeps
from contracts.media import U8
from live.previews.live_previews import LivePreviews
from tests.api.asgi import RawClient
from tests.api.fakes import client_of, deps_of, serve
from tests.live.hand_cameras import Stage, plain, stage

DOOR = "/v1/streams/door"
SNAPSHOT, PREVIEW, CLIP = f"{DOOR}/snapshot.jpg", f"{DOOR}/preview.mjpeg", f"{DOOR}/clip.mp4"
PRIVATE = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard") as made:
        made.show("door", plain(50), plain(100), plain(150))
        yield made


@pytest.fixture
def deps(staged: Stage) -> Iterator[ServiceDeps]:
    made = deps_of(streams=staged.streams, max_viewers=2)
    yield made
    assert isinstance(made.previews, LivePreviews)
    made.previews.close()


@pytest.fixture
def client(deps: ServiceDeps) -> TestClient:
    return client_of(deps)


def opened(jpeg: bytes) -> U8:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def grey_of(jpeg: bytes) -> float:
    return float(opened(jpeg).mean())


def test_a_snapshot_is_the_newest_frame(client: TestClient, staged: Stage) -> None:
    reply = client.get(SNAPSHOT)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers.items() >= PRIVATE.items()
    assert opened(reply.content).shape == (90, 160, 3)
    assert grey_of(reply.content) == pytest.approx(150, abs=3)
    last_at = staged.streams.status("door").last_frame_at
    assert last_at is not None
    captured_at = datetime.fromisoformat(reply.headers["x-captured-at"])
    assert abs(captured_at - last_at) < timedelta(milliseconds=1)
    assert 0 <= float(reply.headers["x-frame-age-s"]) < 10
    assert opened(client.get(SNAPSHOT, params={"max_side": 80}).content).shape == (45, 80, 3)
    head = client.head(SNAPSHOT)
    assert (head.status_code, head.content) == (200, b"")


def test_an_overlay_is_written_into_it(client: TestClient) -> None:
    bare = client.get(SNAPSHOT, params={"overlay": "0"}).content
    written = client.get(SNAPSHOT, params={"overlay": "1"}).content
    assert bare == client.get(SNAPSHOT).content
    assert opened(written)[:12].min() < 50 < opened(bare)[:12].min()


def test_an_old_frame_says_how_old_it_is(client: TestClient, staged: Stage) -> None:
    staged.lose("door")
    staged.clock.ahead_s += 100
    assert 100 <= float(client.get(SNAPSHOT).headers["x-frame-age-s"]) < 110


@pytest.mark.parametrize("path", ["snapshot.jpg", "clip.mp4"])
def test_a_stream_without_a_frame_has_none_to_show(
    client: TestClient, staged: Stage, path: str
) -> None:
    for happen, retry in ((None, "true"), (staged.switch_off, "false")):
        if happen:
            happen("yard")
        reply = client.get(f"/v1/streams/yard/{path}")
        assert (reply.status_code, reply.headers["x-error-code"]) == (503, "stream_no_fresh_frame")
        assert reply.headers["x-should-retry"] == retry
        assert "no frame" in reply.json()["error"]["message"]


@pytest.mark.parametrize("path", ["snapshot.jpg", "preview.mjpeg", "clip.mp4"])
def test_an_unknown_stream_is_not_found(client: TestClient, path: str) -> None:
    reply = client.get(f"/v1/streams/attic/{path}")
    assert (reply.status_code, reply.headers["x-error-code"]) == (404, "stream_not_found")
    assert "door" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        (SNAPSHOT, "max_side=63", "max_side"),
        (SNAPSHOT, "max_side=1921", "max_side"),
        (SNAPSHOT, "max_side=640.5", "max_side"),
        (SNAPSHOT, "overlay=2", "overlay"),
        (SNAPSHOT, "fps=5", "fps"),
        (PREVIEW, "fps=0.5", "fps"),
        (PREVIEW, "fps=16", "fps"),
        (PREVIEW, "overlay=yes", "overlay"),
        (PREVIEW, "sise=5", "sise"),
        (CLIP, "seconds=0.5", "seconds"),
        (CLIP, "seconds=61", "seconds"),
        (CLIP, "second=5", "second"),
    ],
)
def test_a_wrong_wish_is_refused_by_name(path: str, query: str, param: str) -> None:
    reply = serve().get(f"{path}?{query}")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


def test_a_clip_is_the_last_seconds(client: TestClient, staged: Stage) -> None:
    reply = client.get(CLIP)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "video/mp4"
    assert reply.headers.items() >= PRIVATE.items()
    with av.open(io.BytesIO(reply.content), "r") as container:
        assert container.streams.video[0].codec_context.name == "h264"
        greys = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert greys == pytest.approx([50, 100, 150], abs=4)
    begin, end = (datetime.fromisoformat(reply.headers[f"x-clip-{way}"]) for way in ("from", "to"))
    assert 2 <= (end - begin).total_seconds() < 10
    staged.lose("door")
    shorter = client.get(CLIP, params={"seconds": "1.5"})  # up to the newest frame, not to now
    with av.open(io.BytesIO(shorter.content), "r") as container:
        assert len(list(container.decode(video=0))) == 2
    assert shorter.headers["x-clip-to"] == reply.headers["x-clip-to"]


@asynccontextmanager
async def watching(deps: ServiceDeps, query: str = "") -> AsyncIterator[RawClient]:
    """Somebody who watches while the block lasts."""
    viewer = RawClient(build_app(lambda: deps), PREVIEW, method="GET", query=query)
    task = asyncio.create_task(viewer.run())
    try:
        yield viewer
    finally:
        viewer.leave()
        await task


def parts_of(viewer: RawClient) -> list[bytes]:
    """The pictures that came whole."""
    begin, *parts = viewer.body.split(b"--frame\r\n")
    assert begin == b""
    pictures = []
    for part in parts[:-1]:
        head, _, jpeg = part.partition(b"\r\n\r\n")
        assert jpeg.endswith(b"\r\n")
        length = f"Content-Length: {len(jpeg) - 2}".encode()
        assert head.split(b"\r\n") == [b"Content-Type: image/jpeg", length]
        pictures.append(jpeg[:-2])
    return pictures


async def see(viewer: RawClient, grey: float) -> bytes:
    """Wait for a picture of about this shade."""
    count = 2
    while True:
        await viewer.until(b"--frame", count=count)
        newest = parts_of(viewer)[-1]
        if abs(grey_of(newest) - grey) < 25:
            return newest
        count += 1


async def test_a_preview_shows_one_picture_after_the_other(
    deps: ServiceDeps, staged: Stage
) -> None:
    async with watching(deps, "fps=15&max_side=80") as viewer:
        assert opened(await see(viewer, 150)).shape == (45, 80, 3)
        await asyncio.to_thread(staged.show, "door", plain(250))
        await see(viewer, 250)
    headers = dict(viewer.sent[0]["headers"])
    assert headers[b"content-type"] == b"multipart/x-mixed-replace; boundary=frame"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert b"content-length" not in headers


async def test_a_preview_of_a_stream_that_does_not_run_is_a_card(
    deps: ServiceDeps, staged: Stage
) -> None:
    async with watching(deps, "fps=15") as viewer:
        await see(viewer, 150)
        await asyncio.to_thread(staged.lose, "door")
        await see(viewer, 28)


async def test_as_many_watch_as_may(deps: ServiceDeps) -> None:
    app = build_app(lambda: deps)
    viewers = [RawClient(app, PREVIEW, method="GET") for _ in range(2)]
    tasks = [asyncio.create_task(viewer.run()) for viewer in viewers]
    for viewer in viewers:
        await viewer.until(b"--frame")
    late = RawClient(app, PREVIEW, method="GET")
    await late.run()
    assert late.status == 503
    assert b"too_many_viewers" in late.body
    for viewer in viewers:
        viewer.leave()
    await asyncio.gather(*tasks)
    again = RawClient(app, PREVIEW, method="GET")
    task = asyncio.create_task(again.run())
    await again.until(b"--frame")
    again.leave()
    await task


async def test_a_preview_ends_with_its_stream(deps: ServiceDeps, staged: Stage) -> None:
    viewer = RawClient(build_app(lambda: deps), PREVIEW, method="GET")
    task = asyncio.create_task(viewer.run())
    await viewer.until(b"--frame")
    await asyncio.to_thread(staged.streams.remove, "door")
    await task
    assert viewer.sent[-1] == {"type": "http.response.body", "body": b""}


async def test_a_preview_ends_when_the_service_stops(deps: ServiceDeps) -> None:
    viewer = RawClient(build_app(lambda: deps), PREVIEW, method="GET")
    task = asyncio.create_task(viewer.run())
    await viewer.until(b"--frame")
    deps.stopping.set()
    await task
    assert viewer.sent[-1] == {"type": "http.response.body", "body": b""}
    late = RawClient(build_app(lambda: deps), PREVIEW, method="GET")
    await late.run()
    assert (late.status, b"shutting_down" in late.body) == (503, True)
