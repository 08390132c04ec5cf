"""Posts go to permitted addresses only, end in time, and say nothing of where they went."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from contracts.errors import DeliveryError
from media.addresses import AddressRules
from media.posting import GuardedPoster
from tests.live.receiver import Receiver, receiving
from tests.media.http_hosts import Route, drip_headers, say_nothing, serving


@pytest.fixture
async def poster() -> AsyncIterator[GuardedPoster]:
    opened = GuardedPoster(AddressRules.parse(["127.0.0.1"]))
    yield opened
    await opened.close()


async def post(poster: GuardedPoster, url: str, timeout_s: float = 10) -> int:
    return await poster.post(url, b"body", {"x-test": "1"}, timeout_s=timeout_s)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


async def test_a_post_arrives_whole_and_its_status_comes_back(
    poster: GuardedPoster, receiver: Receiver
) -> None:
    receiver.refuse("/a", 204, 503)
    assert [await post(poster, receiver.url("/a")) for _ in range(2)] == [204, 503]
    assert [one.body for one in receiver.received] == [b"body"] * 2
    assert receiver.received[0].headers["x-test"] == "1"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(
    poster: GuardedPoster, receiver: Receiver, status: int
) -> None:
    receiver.refuse("/a", status)
    assert await post(poster, receiver.url("/a")) == status
    assert receiver.at("/elsewhere") == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/hunter2",
        "http://10.0.0.1/hunter2",
        "http://169.254.169.254/hunter2",
        "http://[::1]/hunter2",
        "http://2130706434/hunter2",
        "ftp://127.0.0.1/hunter2",
        "file:///etc/hunter2",
        "hunter2",
        "http://",
        "http://127.0.0.1:hunter2/",
    ],
)
async def test_what_is_not_permitted_is_refused_without_naming_it(
    poster: GuardedPoster, url: str
) -> None:
    for refused in (post(poster, url), poster.check(url)):
        with pytest.raises(DeliveryError) as caught:
            await refused
        assert "hunter2" not in caught.value.message
        assert not caught.value.is_final


async def test_a_host_that_cannot_be_found_may_be_there_later(poster: GuardedPoster) -> None:
    await poster.check("http://nowhere.invalid/")
    with pytest.raises(DeliveryError, match="could not be reached"):
        await post(poster, "http://nowhere.invalid/")


async def test_a_port_where_nobody_listens_is_told(poster: GuardedPoster) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(DeliveryError, match="could not be reached"):
            await post(poster, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("route", [say_nothing, drip_headers])
async def test_a_host_that_is_slow_is_cut_off_at_the_total_time(
    poster: GuardedPoster, route: Route
) -> None:
    with serving({"/a": route}) as host, pytest.raises(DeliveryError, match="in time"):
        await post(poster, host.url("/a"), timeout_s=0.3)


async def test_a_caller_that_leaves_ends_its_post(poster: GuardedPoster) -> None:
    with receiving() as receiver:
        receiver.held.add("/a")
        posting = asyncio.create_task(post(poster, receiver.url("/a")))
        await asyncio.to_thread(receiver.wait_for, "/a", 1)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        assert await post(poster, receiver.url("/b")) == 200


async def test_closing_ends_what_is_under_way_and_every_thread() -> None:
    poster = GuardedPoster(AddressRules.parse(["127.0.0.1"]))
    with receiving() as receiver:
        receiver.held.add("/a")
        posting = asyncio.create_task(post(poster, receiver.url("/a")))
        await asyncio.to_thread(receiver.wait_for, "/a", 1)
        await poster.close()
        with pytest.raises(DeliveryError):
            await posting
    assert not [one for one in threading.enumerate() if one.name.startswith("post")]
