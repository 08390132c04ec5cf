"""Rules as clients of JPS set them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.alert_house import AlertHouse, alert_house
from tests.live.hand_cameras import Stage, stage

SET = {"detail": "Alert rules set"}
CLEARED = {"detail": "Alert rules cleared"}


@pytest.fixture(params=["/api/v1/alerts", "/v1/alerts"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard") as made:
        yield made


@pytest.fixture
async def house(tmp_path: Path, staged: Stage) -> AsyncIterator[AlertHouse]:
    async with alert_house(tmp_path, staged.streams, jps_cooldown_s=7) as made:
        yield made


async def listed(house: AlertHouse, path: str) -> list[tuple[str, str, str]]:
    told: list[dict[str, Any]] = (await house.client.get(path)).json()
    keys = {"alert_number", "alert_string", "id", "status", "rule_id"}
    assert all(one.keys() == keys for one in told)
    return [(one["alert_number"], one["alert_string"], one["id"]) for one in told]


async def test_rules_are_set_listed_and_cleared(house: AlertHouse, path: str) -> None:
    alerts = ["Is there fire?", "Is there smoke?"]
    reply = await house.client.post(path, json={"alerts": alerts, "id": "door", "more": 1})
    assert (reply.status_code, reply.json()) == (200, SET)
    assert reply.headers["x-ignored-parameters"] == "more"
    assert await listed(house, path) == [
        ("r0", "Is there fire?", "door"),
        ("r1", "Is there smoke?", "door"),
    ]
    reply = await house.client.delete(f"{path}?id=yard")
    assert (reply.status_code, reply.json()) == (200, CLEARED)
    assert len(await listed(house, path)) == 2
    assert (await house.client.delete(f"{path}?id=door")).json() == CLEARED
    assert await listed(house, path) == []


async def test_a_rule_of_the_facade_is_an_ordinary_rule(house: AlertHouse, path: str) -> None:
    await house.client.post(path, json={"alerts": ["Is there fire?"]})
    (told,) = (await house.client.get(path)).json()
    assert (told["id"], told["status"]) == ("", 0)
    rule = house.alerts.rules.get(told["rule_id"])
    await house.see(rule, "Y")
    assert (await house.client.get(path)).json()[0]["status"] == 1
    shown = (await house.client.get(f"/v1/rules/{rule.id}")).json()
    assert (shown["source"], shown["alert_number"], shown["cooldown_s"]) == ("jps", "r0", 7)
    assert (shown["on_threshold"], shown["off_threshold"]) == (0.5, 0.5)
    assert shown["confirm"] == {"n": 1, "of": 1}
    await house.client.post(path, json={"alerts": ["Is there fire?", "Is it?"], "id": None})
    again = (await house.client.get(path)).json()
    assert [(one["rule_id"] == rule.id, one["status"]) for one in again] == [(True, 1), (False, 0)]


async def test_native_rules_are_left_alone(house: AlertHouse, path: str) -> None:
    await house.client.post("/v1/rules", json={"prompt": "Is it?", "id": "mine"})
    await house.client.post(path, json={"alerts": ["Is there fire?"]})
    assert [number for number, *_ in await listed(house, path)] == ["r0"]
    assert (await house.client.post(path, json={"alerts": []})).json() == SET
    assert await listed(house, path) == []
    assert [rule.id for rule in house.alerts.rules.all()] == ["mine"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"alerts": ["Is it?", "  "]}, ["body", "alerts", 1]),
        ({"alerts": [""]}, ["body", "alerts", 0]),
        ({"alerts": ["x" * 101]}, ["body", "alerts", 0]),
        ({"alerts": ["Is it?"] * 11}, ["body", "alerts"]),
        ({"alerts": "Is it?"}, ["body", "alerts"]),
        ({"alerts": [None]}, ["body", "alerts", 0]),
        ({}, ["body", "alerts"]),
        ({"alerts": [], "id": 1}, ["body", "id"]),
    ],
)
async def test_what_is_wrong_is_told_at_its_place(
    house: AlertHouse, path: str, body: dict[str, object], loc: list[object]
) -> None:
    await house.client.post(path, json={"alerts": ["Is there fire?"]})
    reply = await house.client.post(path, json=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == loc
    assert [text for _, text, _ in await listed(house, path)] == ["Is there fire?"]


async def test_as_many_and_as_long_as_may_be(house: AlertHouse, path: str) -> None:
    reply = await house.client.post(path, json={"alerts": ["x" * 100] * 10, "id": ""})
    assert reply.json() == SET
    assert len(await listed(house, path)) == 10


async def test_an_unknown_stream_is_the_only_one_there_is(
    house: AlertHouse, staged: Stage, path: str
) -> None:
    body = {"alerts": ["Is it?"], "id": "other"}
    reply = await house.client.post(path, json=body)
    assert (reply.status_code, reply.headers["x-error-code"]) == (422, "stream_not_found")
    assert isinstance(reply.json()["detail"], str)
    assert (await house.client.delete(f"{path}?id=other")).status_code == 422
    staged.streams.remove("yard")
    assert (await house.client.post(path, json=body)).json() == SET
    assert await listed(house, path) == [("r0", "Is it?", "door")]
    staged.streams.remove("door")
    assert (await house.client.post(path, json=body)).json() == SET
    assert ("r0", "Is it?", "") in await listed(house, path)


async def test_more_rules_than_may_be(tmp_path: Path, path: str) -> None:
    async with alert_house(tmp_path, max_rules=1) as house:
        reply = await house.client.post(path, json={"alerts": ["Is it?", "Was it?"]})
        assert (reply.status_code, reply.headers["x-error-code"]) == (409, "rule_limit_reached")
