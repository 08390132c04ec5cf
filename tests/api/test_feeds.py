"""Feeds: server-sent events, our WebSocket, and JPS's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.app import build_app
from live.alerting.feed import MAX_BEHIND
from tests.api.alert_house import AlertHouse, alert_house
from tests.api.asgi import RawClient, Stalled
from tests.api.raw_socket import RawSocket
from tests.live.house import QUICK

FEED = "/v1/events/feed"
JPS = ("/api/v1/alerts/ws", "/v1/alerts/ws")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AlertHouse]:
    async with alert_house(tmp_path, max_feeds=1) as made:
        await made.alerts.rules.add(QUICK)
        yield made


@asynccontextmanager
async def sse(
    house: AlertHouse, query: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[RawClient]:
    client = RawClient(house.app, FEED, headers=headers or {}, method="GET", query=query)
    run = asyncio.create_task(client.run())
    yield client
    client.leave()
    await run


def stop(house: AlertHouse, by: str) -> None:
    """Stop what the feeds hang on."""
    if by == "service":
        house.deps.stopping.set()
    else:
        house.alerts.feed.close()


def read(client: RawClient) -> list[tuple[str, str, dict[str, Any]]]:
    """The id, the event and the data of each event."""
    frames = client.body.decode().split("\n\n")
    assert frames[0] == "retry: 3000"
    told = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames[1:-1]]
    return [(one["id"], one["event"], json.loads(one["data"])) for one in told]


async def test_a_feed_greets_and_tells_what_happens(house: AlertHouse) -> None:
    async with sse(house) as client:
        await client.until(b"hello")
        (begin, _) = await house.see(QUICK, "YN")
        await client.until(b"event: end")
    headers = dict(client.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    hello, first, last = read(client)
    assert hello == ("0", "hello", {"kind": "hello", "cursor": "0", "oldest": "1"})
    assert first[:2] == ("1", "begin")
    assert first[2].keys() == {"cursor", "kind", "at", "event"}
    assert first[2]["event"]["id"] == begin.event.id
    assert last[:2] == ("2", "end")
    assert not house.alerts.feed.num_readers


@pytest.mark.parametrize(
    ("query", "last_id", "ids"),
    [
        ("after=0", None, ["0", "1", "2", "3"]),
        ("after=2", None, ["2", "3"]),
        ("after=0", "1", ["1", "2", "3"]),
    ],
)
async def test_a_feed_is_resumed(
    house: AlertHouse, query: str, last_id: str | None, ids: list[str]
) -> None:
    await house.see(QUICK, "YNY")
    headers = {} if last_id is None else {"last-event-id": last_id}
    async with sse(house, query, headers) as client:
        await client.until(b"id: 3")
    assert [one[0] for one in read(client)] == ids


async def test_a_feed_may_be_narrowed(house: AlertHouse) -> None:
    other = replace(QUICK, id="other", severity="critical")
    await house.alerts.rules.add(other)
    async with sse(house, "severity=critical&stream_id=door&rule_id=other&type=alert") as client:
        await client.until(b"hello")
        await house.see(QUICK, "YN")
        await house.see(other, "Y", start_s=10)
        await client.until(b"begin")
    assert [one[0] for one in read(client)] == ["0", "3"]


@pytest.mark.parametrize(
    ("query", "last_id"), [("after=x", ""), ("", "x"), ("limit=1", ""), ("type=fire", "")]
)
async def test_a_wrong_wish_is_refused(house: AlertHouse, query: str, last_id: str) -> None:
    reply = await house.client.get(f"{FEED}?{query}", headers={"last-event-id": last_id})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_request")


async def test_as_many_read_as_may(house: AlertHouse) -> None:
    async with sse(house) as client:
        await client.until(b"hello")
        reply = await house.client.get(FEED)
        assert (reply.status_code, reply.headers["x-error-code"]) == (503, "too_many_viewers")
        for path in (FEED, *JPS):
            socket = RawSocket(house.app, path)
            refusal = await socket.next()
            assert (refusal["type"], refusal["status"]) == ("websocket.http.response.start", 503)
            await socket.run
    async with sse(house) as client:
        await client.until(b"hello")


@pytest.mark.parametrize("by", ["service", "alerts"])
async def test_feeds_end_when_the_service_stops(house: AlertHouse, by: str) -> None:
    client = RawClient(house.app, FEED, method="GET")
    run = asyncio.create_task(client.run())
    await client.until(b"hello")
    stop(house, by)
    await run
    assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("path", [FEED, *JPS])
@pytest.mark.parametrize("by", ["service", "alerts"])
async def test_sockets_are_told_of_a_restart(house: AlertHouse, path: str, by: str) -> None:
    socket = RawSocket(house.app, path)
    assert (await socket.next())["type"] == "websocket.accept"
    if path == FEED:
        await socket.json()
    stop(house, by)
    closed = await socket.next()
    assert (closed["type"], closed["code"]) == ("websocket.close", 1012)
    await socket.run


async def test_a_socket_says_what_a_feed_says(house: AlertHouse) -> None:
    await house.see(QUICK, "YN")
    socket = RawSocket(house.app, FEED, "after=1")
    assert (await socket.next())["type"] == "websocket.accept"
    assert await socket.json() == {"kind": "hello", "cursor": "1", "oldest": "1"}
    assert (await socket.json())["kind"] == "end"
    socket.say("ignored")
    (begin,) = await house.see(QUICK, "Y", start_s=10)
    message = await socket.json()
    assert (message["kind"], message["event"]["id"]) == ("begin", begin.event.id)
    await socket.leave()
    assert not house.alerts.feed.num_readers


async def test_a_socket_that_is_too_far_behind_is_closed(house: AlertHouse) -> None:
    socket = RawSocket(house.app, FEED, room=1)
    assert (await socket.next())["type"] == "websocket.accept"
    await socket.json()
    await house.see(QUICK, "YN" * (MAX_BEHIND // 2 + 5))
    cursors = []
    while (message := await socket.next())["type"] == "websocket.send":
        cursors.append(json.loads(message["text"])["cursor"])
    assert message["code"] == 1013
    assert cursors == [str(number) for number in range(1, len(cursors) + 1)]
    again = RawSocket(house.app, FEED, f"after={cursors[-1]}")
    assert (await again.next())["type"] == "websocket.accept"
    assert (await again.json())["cursor"] == cursors[-1]
    assert (await again.json())["cursor"] == str(int(cursors[-1]) + 1)
    await again.leave()


@pytest.mark.parametrize("path", JPS)
async def test_jps_hears_while_an_alert_is_on(house: AlertHouse, path: str) -> None:
    rule = replace(QUICK, id="jps", stream_id="door", prompt="Is there fire?")
    rule = replace(rule, source="jps", alert_number="r0")
    await house.alerts.rules.add(rule)
    socket = RawSocket(house.app, path)
    await socket.next()
    (begin, *_) = await house.see(rule, "YYN")
    first, second = await socket.json(), await socket.json()
    local = begin.event.began_at.astimezone()
    assert first == {
        "title": "VLM Alert Triggered",
        "description": "The VLM has determined the alert rule: Is there fire? is True!",
        "alert_id": "r0",
        "type": "vlm_alert",
        "rule_string": "Is there fire?",
        "timestamp": f"{local:%Y-%m-%d %H:%M:%S}",
        "stream_id": "door",
    }
    assert second["timestamp"] > first["timestamp"]
    await house.see(QUICK, "Y", start_s=20)
    assert (await socket.json())["alert_id"] == "r-door"
    await socket.leave()


async def test_jps_does_not_hear_of_what_is_suppressed(house: AlertHouse) -> None:
    rule = replace(QUICK, id="calm", cooldown_s=60)
    await house.alerts.rules.add(rule)
    socket = RawSocket(house.app, JPS[0])
    await socket.next()
    messages = await house.see(rule, "YNY")
    assert [message.event.suppressed for message in messages] == [False, False, True]
    await house.see(QUICK, "Y", start_s=20)
    assert [(await socket.json())["alert_id"] for _ in range(2)] == ["calm", "r-door"]
    await socket.leave()


async def test_a_client_that_takes_nothing_any_more_gives_its_place_back(
    house: AlertHouse,
) -> None:
    deps = replace(house.deps, patience_s=0.05)
    app = build_app(lambda: deps, alerts=lambda: house.alerts)
    client = Stalled(app, FEED, method="GET")
    await client.run()
    assert client.sent[0]["status"] == 200
    assert house.alerts.feed.num_readers.total() == 0


@pytest.mark.parametrize("path", [FEED, *JPS])
async def test_a_socket_whose_client_takes_nothing_any_more_gives_its_place_back(
    house: AlertHouse, path: str
) -> None:
    deps = replace(house.deps, patience_s=0.05)
    app = build_app(lambda: deps, alerts=lambda: house.alerts)
    socket = RawSocket(app, path, room=1)
    assert (await socket.next())["type"] == "websocket.accept"
    await house.see(QUICK, "YN" * 4)
    await socket.run
    assert house.alerts.feed.num_readers.total() == 0
