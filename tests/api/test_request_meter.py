"""Requests are counted by what they were, never by what their sender wrote."""

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient, WebSocketDenialResponse

from api.app import build_app
from contracts.generation import TokenDelta
from tests.api.asgi import RawClient
from tests.api.fakes import ADMITTED, DeltaRunner, client_of, deps_of, serve, user
from tests.api.prometheus.scrape import samples_in

CHAT = "/v1/chat/completions"
PREVIEW = "/v1/streams/preview"


def counted(client: TestClient) -> list[tuple[str, str, str, float]]:
    samples = samples_in(client.get("/metrics").text).get("lookout_requests_total", [])
    return [(one["method"], one["route"], one["status"], n) for one, n in samples]


def test_requests_are_counted_by_the_template_of_their_route() -> None:
    client = serve()
    for model in ("m", "m", "other"):
        client.get(f"/v1/models/{model}")
    client.get("/v1/models")
    assert counted(client) == [
        ("GET", "/v1/models/{model_id:path}", "200", 2),
        ("GET", "/v1/models/{model_id:path}", "404", 1),
        ("GET", "/v1/models", "200", 1),
    ]
    assert counted(client)[-1] == ("GET", "/metrics", "200", 1)


def test_what_a_stranger_writes_is_no_label() -> None:
    client = serve(api_keys="sesame", metrics_public=True)
    headers = {"Authorization": "Bearer sesame"}
    for number in range(3):
        client.get(f"/secret-path-{number}", headers=headers)
        client.get(f"/v1/models/{number}")
        client.request(f"STRANGE{number}", "/v1/models", headers=headers)
    text = client.get("/metrics").text
    assert "secret" not in text
    assert "STRANGE" not in text
    assert set(counted(client)[:-1]) == {
        ("GET", "other", "404", 3),
        ("GET", "other", "401", 3),
        ("other", "/v1/models", "405", 3),
    }


def test_unknown_paths_are_other_where_the_app_is_mounted_too() -> None:
    client = TestClient(Starlette(routes=[Mount("/", build_app(deps_of))]))
    client.get("/secret-path")
    client.get("/v1/models")
    assert counted(client) == [("GET", "other", "404", 1), ("GET", "/v1/models", "200", 1)]


def test_seconds_are_counted_by_route() -> None:
    client = serve()
    client.post(CHAT, json=user("hi"))
    found = samples_in(client.get("/metrics").text)
    assert found["lookout_request_seconds_count"] == [({"route": CHAT}, 1)]


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_client_that_leaves_before_the_end_is_499(is_streamed: bool) -> None:
    deps = deps_of(DeltaRunner(ADMITTED, TokenDelta("Hello"), None))
    app = build_app(lambda: deps)
    body = json.dumps(user("hi", stream=is_streamed)).encode()
    client = RawClient(app, CHAT, [body], {"content-type": "application/json"})
    task = asyncio.create_task(client.run())
    await (client.until(b"Hello") if is_streamed else client.is_read.wait())
    client.leave()
    await asyncio.wait([task])
    assert counted(TestClient(app)) == [("POST", CHAT, "499", 1)]


def test_a_websocket_counts_when_it_ends_and_a_refused_one_by_its_status() -> None:
    client = client_of(deps_of(api_keys="sesame", metrics_public=True))
    with client.websocket_connect(f"{PREVIEW}?api_key=sesame"):
        assert not counted(client)
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect(PREVIEW):
        pass
    found = [one for one in counted(client) if one[0] == "WEBSOCKET"]
    assert found == [("WEBSOCKET", PREVIEW, "101", 1), ("WEBSOCKET", "other", "401", 1)]
