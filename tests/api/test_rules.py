"""Rules over the native API."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.rule_replies import RuleDeleted, RuleList, RuleReply, RuleTestReply
from contracts.judging import Judgement
from runners.scripted import ScriptedRunner
from tests.api.alert_house import AlertHouse, alert_house
from tests.api.fakes import serve
from tests.live.hand_cameras import plain, stage

ALL = "/v1/rules"
Body = dict[str, object]
SECRET = "whsec_c2VjcmV0"
HOOK = f"http://127.0.0.1:9/{SECRET}"
EVERYTHING: Body = {
    "prompt": "Is there a person?",
    "id": "r-door",
    "name": "Person",
    "stream_id": "door",
    "window": {"seconds": 0.0, "frames": 1},
    "interval_s": 0.2,
    "on_threshold": 1.0,
    "off_threshold": 0.0,
    "confirm": {"n": 10, "of": 10},
    "cooldown_s": 0.0,
    "severity": "critical",
    "enabled": False,
    "schedule": {
        "timezone": "Europe/Berlin",
        "windows": [{"days": ["mon", "tue"], "from": "22:00", "to": "06:00"}],
    },
    "notify": ["ops"],
}
OPS = f'{{"ops": {{"url": "{HOOK}", "secret": "{SECRET}"}}}}'


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AlertHouse]:
    async with alert_house(tmp_path, sinks=OPS, default_notify='["ops"]', max_rules=3) as made:
        yield made


async def test_what_is_not_said_has_a_default(house: AlertHouse) -> None:
    reply = await house.client.post(ALL, json={"prompt": " Is there a person? ", "name": None})
    assert reply.status_code == 201
    told = RuleReply.model_validate(reply.json())
    assert str(uuid.UUID(told.id, version=4)) == told.id
    assert reply.headers["location"] == f"{ALL}/{told.id}"
    shown = reply.json()
    assert {name: shown[name] for name in EVERYTHING if name != "id"} == {
        "prompt": "Is there a person?",
        "name": "Is there a person?",
        "stream_id": None,
        "window": {"seconds": 2, "frames": 4},
        "interval_s": 2,
        "on_threshold": 0.6,
        "off_threshold": 0.4,
        "confirm": {"n": 2, "of": 3},
        "cooldown_s": 60,
        "severity": "warning",
        "enabled": True,
        "schedule": None,
        "notify": ["ops"],
    }
    assert (told.object, told.source, told.alert_number) == ("rule", "native", None)
    assert told.created_at == told.updated_at == "2026-11-20T12:00:00.000Z"
    assert [(one.stream_id, one.state) for one in told.status] == [
        ("door", "unknown"),
        ("yard", "unknown"),
    ]


async def test_everything_said_is_taken_and_shown(house: AlertHouse) -> None:
    shown = (await house.client.post(ALL, json=EVERYTHING)).json()
    assert {name: shown[name] for name in EVERYTHING} == EVERYTHING
    assert (await house.client.get(f"{ALL}/r-door")).json() == shown
    listed = RuleList.model_validate((await house.client.get(ALL)).json())
    assert [rule.id for rule in listed.data] == ["r-door"]
    assert listed.data[0].status[0].state == "idle"


async def test_a_long_question_names_a_rule_by_its_beginning(house: AlertHouse) -> None:
    shown = (await house.client.post(ALL, json={"prompt": "x" * 500})).json()
    assert shown["name"] == "x" * 100


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "  "}, "prompt"),
        ({"prompt": "x" * 501}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"id": "a b"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"name": "x" * 101}, "name"),
        ({"stream_id": "no stream"}, "stream_id"),
        ({"window": {"seconds": 61}}, "window.seconds"),
        ({"window": {"seconds": -1}}, "window.seconds"),
        ({"window": {"frames": 65}}, "window.frames"),
        ({"window": {"frames": 0}}, "window.frames"),
        ({"interval_s": 0.1}, "interval_s"),
        ({"interval_s": 3601}, "interval_s"),
        ({"on_threshold": 1.1}, "on_threshold"),
        ({"on_threshold": 0.5, "off_threshold": 0.6}, "off_threshold"),
        ({"confirm": {"n": 4}}, "confirm.n"),
        ({"confirm": {"n": 1, "of": 11}}, "confirm.of"),
        ({"cooldown_s": 86401}, "cooldown_s"),
        ({"severity": "fatal"}, "severity"),
        ({"enabled": "yes"}, "enabled"),
        ({"schedule": {"timezone": "Mars", "windows": []}}, "schedule.windows"),
        ({"schedule": {"timezone": "UTC", "windows": [{}]}}, "schedule.windows[0].days"),
        ({"notify": ["ops"] * 9}, "notify"),
        ({"notify": [{"url": "no"}]}, "notify[0]"),
        ({"notify": ["ops", {"url": HOOK, "apprise": "ntfy://a"}]}, None),
        ({"notify": [{"url": "https://host/***"}]}, "notify[0]"),
        ({"on_treshold": 0.5}, "on_treshold"),
        ({"window": {"second": 1}}, "window.second"),
        ({"alert_number": "r0"}, "alert_number"),
    ],
)
async def test_what_is_wrong_is_told_by_name(
    house: AlertHouse, body: Body, param: str | None
) -> None:
    await house.client.post(ALL, json={"prompt": "Is there fire?", "id": "there"})
    before = (await house.client.get(f"{ALL}/there")).json()
    for reply in (
        await house.client.post(ALL, json={"prompt": "Is it?"} | body),
        await house.client.patch(f"{ALL}/there", json=body),
    ):
        if reply.request.method == "PATCH" and "prompt" in body and body["prompt"] is None:
            continue  # null is absent there
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        assert error["code"] == "invalid_request"
        assert param is None or error["param"] == param
    assert (await house.client.get(f"{ALL}/there")).json() == before or body == {"prompt": None}
    assert len((await house.client.get(ALL)).json()["data"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": "r0"}, 409, "rule_exists"),
        ({"stream_id": "attic"}, 404, "stream_not_found"),
        ({"notify": ["nobody"]}, 400, "sink_not_allowed"),
        ({"notify": [{"url": "http://10.0.0.1/"}]}, 400, "sink_not_allowed"),
        ({"notify": [{"apprise": "ntfy://topic"}]}, 400, "sink_not_allowed"),
    ],
)
async def test_what_may_not_be_is_refused(
    house: AlertHouse, body: Body, status: int, code: str
) -> None:
    await house.client.post(ALL, json={"prompt": "Is there fire?", "id": "r0"})
    reply = await house.client.post(ALL, json={"prompt": "Is there fire?"} | body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.headers["x-error-code"] == code


async def test_there_are_no_more_than_may_be(house: AlertHouse) -> None:
    codes = [
        (await house.client.post(ALL, json={"prompt": "Is there fire?"})).status_code
        for _ in range(4)
    ]
    assert codes == [201, 201, 201, 409]


async def test_a_patch_changes_what_it_says(house: AlertHouse) -> None:
    await house.client.post(ALL, json=EVERYTHING)
    one = f"{ALL}/r-door"
    patch = {"window": {"frames": 8}, "severity": "info", "name": None, "enabled": True}
    shown = (await house.client.patch(one, json=patch)).json()
    assert shown["window"] == {"seconds": 0, "frames": 8}
    assert (shown["severity"], shown["name"], shown["enabled"]) == ("info", "Person", True)
    assert shown["confirm"] == EVERYTHING["confirm"]
    nothing = {"stream_id": None, "schedule": None, "notify": None}
    shown = (await house.client.patch(one, json=nothing)).json()
    assert (shown["stream_id"], shown["schedule"], shown["notify"]) == (None, None, ["ops"])
    assert house.alerts.rules.get("r-door").notify is None
    assert (await house.client.patch(one, json={"notify": []})).json()["notify"] == []
    assert (await house.client.patch(one, json={"id": "other"})).status_code == 400


async def test_a_rule_that_nobody_named_is_named_by_its_new_question(house: AlertHouse) -> None:
    await house.client.post(ALL, json={"prompt": "Is there fire?", "id": "r"})
    shown = (await house.client.patch(f"{ALL}/r", json={"prompt": " Is there smoke? "})).json()
    assert (shown["prompt"], shown["name"]) == ("Is there smoke?", "Is there smoke?")
    await house.client.patch(f"{ALL}/r", json={"name": "Mine"})
    shown = (await house.client.patch(f"{ALL}/r", json={"prompt": "Is there fog?"})).json()
    assert shown["name"] == "Mine"
    shown = (await house.client.patch(f"{ALL}/r", json={"name": ""})).json()
    assert shown["name"] == "Is there fog?"


async def test_secrets_are_not_shown(tmp_path: Path) -> None:
    async with alert_house(tmp_path, api_keys="key") as house:
        house.client.headers["authorization"] = "Bearer key"
        notify = [
            {"url": HOOK, "secret": SECRET, "on": ["update"]},
            {"url": HOOK},
            {"apprise": f"ntfy://{SECRET}"},
        ]
        reply = await house.client.post(ALL, json={"prompt": "Is it?", "notify": notify})
        RuleReply.model_validate(reply.json())
        assert reply.json()["notify"] == [
            {"url": "http://127.0.0.1/***", "secret": "***", "on": ["update"]},
            {"url": "http://127.0.0.1/***", "on": ["begin", "end"]},
            {"apprise": "ntfy://***", "on": ["begin", "end"]},
        ]
        assert SECRET not in (await house.client.get(ALL)).text


async def test_lists_may_be_narrowed(house: AlertHouse) -> None:
    for rule_id, stream_id, enabled in (
        ("a", "door", True),
        ("b", None, False),
        ("c", "yard", True),
    ):
        body = {"prompt": "Is it?", "id": rule_id, "stream_id": stream_id, "enabled": enabled}
        await house.client.post(ALL, json=body)

    async def listed(query: str) -> list[str]:
        reply = await house.client.get(f"{ALL}?{query}")
        return [rule["id"] for rule in reply.json()["data"]]

    assert await listed("") == ["a", "b", "c"]
    assert await listed("stream_id=door") == ["a", "b"]
    assert await listed("enabled=true") == ["a", "c"]
    assert await listed("stream_id=door&enabled=false") == ["b"]
    for query in ("enabled=1", "enable=true", "stream_id=a&stream_id=b"):
        assert (await house.client.get(f"{ALL}?{query}")).status_code == 400


async def test_a_rule_tells_how_it_stands(house: AlertHouse) -> None:
    body = {"prompt": "Is it?", "id": "r", "stream_id": "door", "confirm": {"n": 1, "of": 1}}
    await house.client.post(ALL, json=body)
    (begin,) = await house.see(house.alerts.rules.get("r"), "Y")
    (status,) = (await house.client.get(f"{ALL}/r")).json()["status"]
    assert status == {
        "stream_id": "door",
        "state": "on",
        "score": 0.9,
        "known": True,
        "last_look_at": "2026-11-20T12:00:02.000Z",
        "achieved_interval_s": None,
        "num_looks": 1,
        "num_unknown": 0,
        "event_id": begin.event.id,
    }


async def test_a_deleted_rule_is_gone(house: AlertHouse) -> None:
    await house.client.post(ALL, json=EVERYTHING)
    reply = await house.client.delete(f"{ALL}/r-door")
    assert RuleDeleted.model_validate(reply.json()).id == "r-door"
    for reply in (
        await house.client.delete(f"{ALL}/r-door"),
        await house.client.get(f"{ALL}/r-door"),
        await house.client.patch(f"{ALL}/r-door", json={"bad": 1}),
    ):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "rule_not_found")


async def test_without_alerts_there_are_no_such_routes() -> None:
    assert serve().get(ALL).json()["error"]["code"] == "not_found"


async def test_a_rule_is_tried_out(tmp_path: Path) -> None:
    runner = ScriptedRunner(judgements=[[Judgement(0.93, known=True)]])
    with stage("door") as cameras:
        await asyncio.to_thread(cameras.show, "door", plain(200))
        async with alert_house(tmp_path, cameras.streams, runner) as house:
            await house.client.post(ALL, json=EVERYTHING | {"notify": None})
            reply = await house.client.post(f"{ALL}/r-door/test", json={"stream_id": "door"})
    assert reply.status_code == 200
    told = RuleTestReply.model_validate(reply.json())
    (result,) = told.results
    assert (told.rule_id, result.stream_id, result.score) == ("r-door", "door", 0.93)
    assert (result.verdict, result.error, len(result.frame_times)) == ("unsure", None, 1)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("r-door", {"stream": "door"}, "invalid_request"),
        ("r-door", {"stream_id": "attic"}, "stream_not_found"),
        ("r-door", {"stream_id": "yard"}, "invalid_request"),  # there is one, of other rules
        ("r-none", {}, "rule_not_found"),
    ],
)
async def test_what_cannot_be_tried_out_is_refused(
    house: AlertHouse, path: str, body: Body, code: str
) -> None:
    await house.client.post(ALL, json=EVERYTHING)
    reply = await house.client.post(f"{ALL}/{path}/test", json=body)
    assert reply.headers["x-error-code"] == code
