"""The document of rules, events, feeds and deliveries."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.alert_house import AlertHouse, alert_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AlertHouse]:
    async with alert_house(tmp_path) as made:
        yield made


@pytest.fixture
async def document(house: AlertHouse) -> dict[str, Any]:
    told: dict[str, Any] = (await house.client.get("/openapi.json")).json()
    return told


async def test_every_route_is_there(document: dict[str, Any]) -> None:
    about = ("rules", "alerts", "events", "deliveries", "metrics")
    paths = {
        path: set(told) for path, told in document["paths"].items() if any(map(path.count, about))
    }
    assert paths == {
        "/v1/rules": {"get", "post"},
        "/v1/rules/{rule_id}": {"get", "patch", "delete"},
        "/v1/rules/{rule_id}/test": {"post"},
        "/api/v1/alerts": {"get", "post", "delete"},
        "/v1/alerts": {"get", "post", "delete"},
        "/v1/events": {"get"},
        "/v1/events/feed": {"get"},
        "/v1/events/{event_id}": {"get"},
        "/v1/events/{event_id}/frame.jpg": {"get"},
        "/v1/events/{event_id}/clip.mp4": {"get"},
        "/v1/deliveries": {"get"},
        "/v1/deliveries/{delivery_id}/retry": {"post"},
        "/metrics": {"get"},
    }


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert names <= set(document["components"]["schemas"])
    assert "$defs" not in text
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)


async def test_ranges_and_parameters_are_told(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["RuleBody"]["properties"]
    interval = fields["interval_s"]["anyOf"][0]
    assert (interval["minimum"], interval["maximum"]) == (0.2, 3600)
    listing = {one["name"]: one for one in document["paths"]["/v1/events"]["get"]["parameters"]}
    assert listing.keys() == {
        "limit", "order", "type", "state", "severity", "stream_id", "rule_id",
        "since", "until", "page", "after",
    }  # fmt: skip
    assert listing["limit"]["schema"]["maximum"] == 500
    assert all(one["description"] for one in listing.values())
    deleting = document["paths"]["/v1/alerts"]["delete"]["parameters"]
    assert [one["name"] for one in deleting] == ["id"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/v1/rules/r", "DELETE, GET, PATCH"), ("/v1/events/e", "GET"), ("/v1/events/feed", "GET")],
)
async def test_other_methods_are_refused(house: AlertHouse, path: str, allowed: str) -> None:
    reply = await house.client.put(path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
