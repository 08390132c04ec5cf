"""Memory of decoded pixels: what all requests hold together, and whose turn it is."""

import asyncio

import pytest

from api.pixel_budget import PixelBudget, PixelClaim
from contracts.errors import TooManyMedia
from tests.api.fakes import FakeMedia, deps_of, image, saying, serve, user

MB = 1 << 20


def budget_of(media_memory_mb: int = 100) -> PixelBudget:
    deps = deps_of(media_memory_mb=media_memory_mb)
    return PixelBudget(lambda: deps)


async def read(claim: PixelClaim, most_mb: int, actual_mb: int | None = None) -> None:
    async with claim.room(most_mb * MB):
        claim.hold((most_mb if actual_mb is None else actual_mb) * MB)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_request_waits_while_others_hold_the_memory() -> None:
    budget = budget_of()
    first, second, third = budget.claim(), budget.claim(), budget.claim()
    await read(first, 50)
    first.stop_reading()
    await read(second, 45)
    waiting = asyncio.create_task(read(third, 10))
    await settle()
    assert not waiting.done()
    second.close()
    await settle()
    assert waiting.done()


async def test_the_oldest_never_waits_for_another_that_reads() -> None:
    budget = budget_of()
    oldest, second, third = budget.claim(), budget.claim(), budget.claim()
    await read(oldest, 1)
    await read(second, 25)
    await read(third, 24)
    waiting = [asyncio.create_task(read(one, 20)) for one in (second, third)]
    await settle()
    assert not any(task.done() for task in waiting)
    await asyncio.wait_for(read(oldest, 49), 1)
    oldest.stop_reading()
    await settle()
    assert not any(task.done() for task in waiting)  # all of it is taken, until an answer is told
    oldest.close()
    await settle()
    assert waiting[0].done()
    second.close()
    await asyncio.wait_for(waiting[1], 1)


async def test_room_that_was_not_used_is_there_for_others() -> None:
    budget = budget_of()
    first, second = budget.claim(), budget.claim()
    await read(first, 50, actual_mb=1)
    await asyncio.wait_for(read(second, 49), 1)


async def test_a_request_waits_for_its_own_decoders() -> None:
    claim = budget_of().claim()
    async with claim.room(40 * MB):
        waiting = asyncio.create_task(read(claim, 40, actual_mb=5))
        await settle()
        assert not waiting.done()
        claim.hold(5 * MB)
    await asyncio.wait_for(waiting, 1)
    assert claim.num_bytes == 10 * MB


async def test_a_decoder_that_might_give_too_much_runs_within_what_is_left() -> None:
    claim = budget_of().claim()
    await read(claim, 45)
    await read(claim, 400, actual_mb=5)
    with pytest.raises(TooManyMedia, match=r"take 51 MB or more; expected at most 50 MB"):
        await read(claim, 400, actual_mb=1)


async def test_closing_twice_gives_back_once() -> None:
    budget = budget_of()
    first, second = budget.claim(), budget.claim()
    await read(first, 30)
    first.close()
    first.close()
    await asyncio.wait_for(read(second, 50), 1)


def test_a_request_that_alone_is_too_much_is_400() -> None:
    client = serve(saying("ok"), FakeMedia(pixel_bytes=20 * MB), media_memory_mb=64)
    reply = client.post("/v1/chat/completions", json=user(image("a"), image("b")))
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == (
        "too_many_media",
        "messages[0].content[1].image_url",
    )
    assert "40 MB or more; expected at most 32 MB" in error["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", user(image())),
        ("/v1/chat/completions", user(image(), stream=True)),
        ("/v1/chat/completions", user(image(), image())),
        ("/analyze_image", {"image_url": "http://a"}),
        ("/v1/media/probe", user(image())),
    ],
)
def test_whoever_is_served_gives_the_memory_back(path: str, body: object) -> None:
    media = FakeMedia(pixel_bytes=20 * MB)
    client = serve(saying("ok", times=9), media, media_memory_mb=64, request_timeout_s=5)
    statuses = {client.post(path, json=body).status_code for _ in range(6)}
    assert statuses <= {200, 400}
    assert client.post("/analyze_image", json={"image_url": "http://a"}).status_code == 200
