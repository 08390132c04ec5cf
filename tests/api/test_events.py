"""Events, their evidence and deliveries over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.event_replies import DeliveryList, DeliveryReply, EventList, EventReply
from contracts.notify import NotifyTarget, WebhookSink
from contracts.rules import Rule
from live.jpeg import to_jpeg
from tests.api.alert_house import AlertHouse, alert_house
from tests.live.house import QUICK, RGB, looks
from tests.live.stage import NOON

ALL = "/v1/events"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AlertHouse]:
    async with alert_house(tmp_path, public_url="https://look.out/") as made:
        yield made


async def some_events(house: AlertHouse, rule: Rule = QUICK) -> list[str]:
    """Three events, the last of them open."""
    await house.alerts.rules.add(rule)
    messages = await house.see(rule, "YNYNY")
    return [message.event.id for message in messages if message.kind == "begin"]


async def test_events_are_listed_newest_first(house: AlertHouse) -> None:
    ids = await some_events(house)
    reply = await house.client.get(ALL)
    told = EventList.model_validate(reply.json())
    assert [event.id for event in told.data] == ids[::-1]
    assert (told.has_more, told.next, told.latest) == (False, None, "5")
    newest = told.data[0]
    assert (newest.state, newest.began_at) == ("open", "2026-11-20T12:00:10.000Z")
    assert newest.evidence is not None
    assert newest.evidence.frame == f"https://look.out/v1/events/{ids[2]}/frame.jpg"
    one = (await house.client.get(f"{ALL}/{ids[2]}")).json()
    EventReply.model_validate(one)
    assert one == reply.json()["data"][0]


async def test_pages_follow_each_other(house: AlertHouse) -> None:
    ids = await some_events(house)
    first = (await house.client.get(ALL, params={"limit": 2, "order": "asc"})).json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (ids[:2], True)
    params = {"limit": 2, "order": "asc", "page": first["next"]}
    second = (await house.client.get(ALL, params=params)).json()
    assert ([one["id"] for one in second["data"]], second["has_more"]) == (ids[2:], False)


@pytest.mark.parametrize(
    ("query", "which"),
    [
        ("state=open", [2]),
        ("state=ended&order=asc", [0, 1]),
        ("type=alert&severity=warning&stream_id=door&rule_id=r-door&order=asc", [0, 1, 2]),
        ("type=stream_lost", []),
        ("severity=critical", []),
        ("since=2026-11-20T12:00:06Z&until=2026-11-20T13:00:10%2B01:00", [1]),
        ("after=4", [2]),
        ("after=0", [0, 1, 2]),
    ],
)
async def test_lists_may_be_narrowed(house: AlertHouse, query: str, which: list[int]) -> None:
    ids = await some_events(house)
    reply = await house.client.get(f"{ALL}?{query}")
    assert [one["id"] for one in reply.json()["data"]] == [ids[index] for index in which]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("order=up", "order"),
        ("type=fire", "type"),
        ("state=closed", "state"),
        ("severity=fatal", "severity"),
        ("since=yesterday", "since"),
        ("until=2026-11-20T12:00:00", "until"),
        ("after=x", "after"),
        ("after=-1", "after"),
        (f"after={10**18}", "after"),
        ("page=x", "page"),
        ("stream=door", "stream"),
    ],
)
async def test_a_wrong_query_is_told_by_name(house: AlertHouse, query: str, param: str) -> None:
    reply = await house.client.get(f"{ALL}?{query}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_what_there_is_not_is_not_found(house: AlertHouse) -> None:
    for path in ("", "/frame.jpg", "/clip.mp4"):
        reply = await house.client.get(f"{ALL}/evt_none{path}")
        assert (reply.status_code, reply.headers["x-error-code"]) == (404, "event_not_found")


async def test_pictures_are_shown_whole_and_in_part(house: AlertHouse) -> None:
    event_id = (await some_events(house))[0]
    jpeg = to_jpeg(RGB)
    path = f"{ALL}/{event_id}/frame.jpg"
    for query in ("", "?which=begin", "?which=peak"):
        reply = await house.client.get(path + query)
        assert (reply.status_code, reply.content) == (200, jpeg)
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    part = await house.client.get(path, headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, jpeg[2:5])
    assert part.headers["etag"] == reply.headers["etag"]
    head = await house.client.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(jpeg)))
    assert (await house.client.get(f"{path}?which=end")).status_code == 400


async def test_a_clip_is_waited_for_shown_and_gone(house: AlertHouse) -> None:
    await house.alerts.rules.add(QUICK)
    batch = replace(looks("door", 2, (QUICK, "Y")), has_clip=True)
    ((event_id, path),) = [
        (message.event.id, f"{ALL}/{message.event.id}/clip.mp4")
        for message in await house.alerts.watch.apply(batch, 0.0)
    ]
    reply = await house.client.get(path)
    assert (reply.status_code, reply.headers["x-error-code"]) == (404, "evidence_not_found")
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert reply.headers["x-should-retry"] == "false"
    house.alerts.evidence.put(event_id, "clip.mp4", b"0123456789", NOON)
    await house.alerts.watch.clip_done(event_id, is_ready=True)
    reply = await house.client.get(path, headers={"range": "bytes=-3"})
    assert (reply.status_code, reply.content) == (206, b"789")
    assert reply.headers["content-range"] == "bytes 7-9/10"
    assert reply.headers["content-type"] == "video/mp4"
    for wrong in ("bytes=10-", "bytes=5-2", "bytes=", "lines=1-2", "nonsense"):
        reply = await house.client.get(path, headers={"range": wrong})
        expected = (416, "range_not_satisfiable", "bytes */10")
        headers = (reply.headers["x-error-code"], reply.headers["content-range"])
        assert (reply.status_code, *headers) == expected
        assert reply.json()["error"]["param"] == "Range"
    house.alerts.evidence.remove(event_id)
    reply = await house.client.get(path)
    assert (reply.status_code, reply.headers["x-error-code"]) == (410, "evidence_gone")


async def test_an_event_without_a_clip_says_so(house: AlertHouse) -> None:
    reply = await house.client.get(f"{ALL}/{(await some_events(house))[0]}/clip.mp4")
    assert (reply.status_code, "retry-after" in reply.headers) == (404, False)


async def test_deliveries_are_listed_without_secrets_and_sent_again(house: AlertHouse) -> None:
    sink = WebhookSink("http://127.0.0.1:9/secret", "whsec_secret")
    ids = await some_events(house, replace(QUICK, notify=(NotifyTarget(sink),)))
    reply = await house.client.get("/v1/deliveries", params={"event_id": ids[0]})
    assert "secret" not in reply.text
    told = DeliveryList.model_validate(reply.json()).data
    assert {(one.sink, one.state, one.attempts) for one in told} == {
        ("http://127.0.0.1/***", "pending", 0)
    }
    assert sorted(one.kind for one in told) == ["begin", "end"]
    assert {one.message.event.id for one in told} == {ids[0]}
    assert (await house.client.get("/v1/deliveries?state=dead")).json()["data"] == []
    assert len((await house.client.get("/v1/deliveries?limit=1")).json()["data"]) == 1
    again = await house.client.post(f"/v1/deliveries/{told[0].id}/retry")
    assert DeliveryReply.model_validate(again.json()).id == told[0].id
    for query in ("state=lost", "sink=ops", "limit=0"):
        assert (await house.client.get(f"/v1/deliveries?{query}")).status_code == 400
    reply = await house.client.post("/v1/deliveries/none/retry")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


async def test_metrics_show_rules_behind_the_key(tmp_path: Path) -> None:
    async with alert_house(tmp_path, api_keys="key") as house:
        await some_events(house)
        assert (await house.client.get("/metrics")).status_code == 401
        reply = await house.client.get("/metrics", headers={"authorization": "Bearer key"})
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'lookout_rule_on{rule_id="r-door",stream_id="door"} 1.0' in reply.text


async def test_metrics_may_be_public(tmp_path: Path) -> None:
    async with alert_house(tmp_path, api_keys="key", metrics_public=True) as house:
        assert (await house.client.get("/metrics")).status_code == 200
        assert (await house.client.get(ALL)).status_code == 401
