"""Live streams over the native API."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from api.stream_replies import StreamDeleted, StreamList, StreamReply
from contracts.errors import SourceUnauthorized
from contracts.streams import StreamState
from tests.api.fakes import saying, serve
from tests.live.hand_cameras import Stage, plain, stage, url_of

ALL = "/v1/streams"
DOOR = f"{ALL}/door"
URL = "rtsp://user:secret@10.0.0.7/h264"
FORBIDDEN = "file:///etc/passwd"
Body = dict[str, object]


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard", max_streams=3) as made:
        yield made


@pytest.fixture
def client(staged: Stage) -> TestClient:
    return serve(None, None, staged.streams)


def as_configured(told: Body) -> Body:
    """What does not change by itself."""
    names = ("id", "name", "description", "url", "enabled", "loop", "sample_fps", "created_at")
    return {name: told[name] for name in names}


def test_a_stream_is_added_and_shown_without_its_credentials(client: TestClient) -> None:
    reply = client.post(ALL, json={"url": URL, "id": "new", "name": "Front door"})
    assert reply.status_code == 201
    assert reply.headers["location"] == f"{ALL}/new"
    told = StreamReply.model_validate(reply.json())
    assert (told.id, told.name, told.url) == ("new", "Front door", "rtsp://***@10.0.0.7/h264")
    assert (told.enabled, told.loop, told.sample_fps) == (True, False, 4.0)
    assert (told.state, told.last_frame_at, told.num_rules) == (StreamState.CONNECTING, None, 0)
    assert datetime.fromisoformat(told.created_at).utcoffset() is not None
    assert told.created_at.endswith("Z")
    again = client.get(reply.headers["location"]).json()
    assert as_configured(again) == as_configured(reply.json())
    listed = StreamList.model_validate(client.get(ALL).json())
    assert [one.id for one in listed.data] == ["door", "yard", "new"]
    assert listed.data[2].created_at == told.created_at
    assert "secret" not in client.get(ALL).text


def test_what_is_not_said_has_a_default(staged: Stage) -> None:
    client = serve(None, None, staged.streams, stream_fps=2.5)
    told = client.post(ALL, json={"url": "rtsp://a", "name": None}).json()
    assert str(uuid.UUID(told["id"], version=4)) == told["id"] == told["name"]
    assert (told["description"], told["sample_fps"]) == ("", 2.5)


def test_everything_said_is_taken(client: TestClient) -> None:
    said: Body = {
        "url": "rtsp://10.0.0.9/a",
        "id": "A-b_9",
        "name": "x" * 100,
        "description": "y" * 1000,
        "enabled": False,
        "loop": True,
        "sample_fps": 0.1,
    }
    told = client.post(ALL, json={**said, "username": "u", "password": "p"}).json()
    assert as_configured(told) == said | {
        "url": "rtsp://***@10.0.0.9/a",
        "created_at": told["created_at"],
    }
    assert told["state"] == "ended"
    assert "username" not in told


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": 5}, "url"),
        ({"url": "r" * 1001}, "url"),
        ({"url": "rtsp://a", "id": ""}, "id"),
        ({"url": "rtsp://a", "id": "a b"}, "id"),
        ({"url": "rtsp://a", "id": "a" * 65}, "id"),
        ({"url": "rtsp://a", "id": "a\n"}, "id"),
        ({"url": "rtsp://a", "name": "n" * 101}, "name"),
        ({"url": "rtsp://a", "description": "n" * 1001}, "description"),
        ({"url": "rtsp://a", "enabled": "yes"}, "enabled"),
        ({"url": "rtsp://a", "loop": 1}, "loop"),
        ({"url": "rtsp://a", "sample_fps": 0.05}, "sample_fps"),
        ({"url": "rtsp://a", "sample_fps": 31}, "sample_fps"),
        ({"url": "rtsp://a", "sampel_fps": 4}, "sampel_fps"),
        ({"url": "rtsp://a", "state": "running"}, "state"),
    ],
    ids=str,
)
def test_a_wrong_field_is_refused_by_name(fields: Body, param: str) -> None:
    reply = serve().post(ALL, json=fields)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", param)


def test_a_body_that_is_no_object_is_refused() -> None:
    assert serve().post(ALL, json=[1]).json()["error"]["code"] == "invalid_request"
    assert serve().post(ALL, content=b"{").status_code == 415
    bad = serve().post(ALL, content=b"{", headers={"Content-Type": "application/json"})
    assert bad.json()["error"]["code"] == "invalid_json"


def test_sources_and_ids_are_taken_once_and_only_so_many(client: TestClient) -> None:
    for fields, status, code in [
        ({"url": "rtsp://new", "id": "door"}, 409, "stream_exists"),
        ({"url": url_of("yard")}, 409, "stream_exists"),
        ({"url": FORBIDDEN}, 400, "stream_url_not_allowed"),
        ({"url": "rtsp://***@host/x"}, 400, "stream_url_not_allowed"),
        ({"url": "rtsp://new"}, 201, None),
        ({"url": "rtsp://newer"}, 409, "stream_limit_reached"),
    ]:
        reply = client.post(ALL, json=fields)
        assert (reply.status_code, reply.headers.get("x-error-code")) == (status, code)
    assert "yard" in client.post(ALL, json={"url": url_of("yard")}).json()["error"]["message"]


def test_it_is_waited_for_the_first_frame_where_that_is_asked(
    client: TestClient, staged: Stage
) -> None:
    staged.camera("new").show(plain(50))
    said = {"url": url_of("new"), "id": "new"}
    told = client.post(ALL, params={"wait_s": "15"}, json=said).json()
    assert (told["state"], told["frames_captured"]) == ("running", 1)
    client.delete(f"{ALL}/new")
    said = {"url": url_of("silent"), "id": "new"}
    told = client.post(ALL, params={"wait_s": "0.01"}, json=said).json()
    assert told["state"] == "connecting"
    client.delete(f"{ALL}/new")
    staged.camera("locked").refusal = SourceUnauthorized("the source refuses the credentials")
    said = {"url": url_of("locked"), "id": "new"}
    told = client.post(ALL, params={"wait_s": "15"}, json=said).json()  # no frame will come
    assert (told["state"], told["state_reason"]) == ("failed", "the source refuses the credentials")


@pytest.mark.parametrize("wrong", ["16", "-1", "soon"])
def test_it_is_waited_for_15_seconds_at_most(wrong: str) -> None:
    reply = serve().post(ALL, params={"wait_s": wrong}, json={"url": "rtsp://b"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "wait_s")


@pytest.mark.parametrize("path", [ALL, DOOR])
def test_queries_that_are_not_known_are_refused_where_something_is_read(
    client: TestClient, path: str
) -> None:
    reply = client.get(path, params={"limit": "1"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "limit")
    assert client.post(f"{ALL}?limit=1", json={"url": "rtsp://b"}).status_code == 201


def test_a_patch_changes_what_it_says(client: TestClient) -> None:
    client.post(ALL, json={"url": URL, "id": "new", "description": "To the street"})
    path = f"{ALL}/new"
    told = client.patch(path, json={"name": "Door", "sample_fps": 8, "enabled": False}).json()
    assert (told["name"], told["sample_fps"], told["enabled"]) == ("Door", 8.0, False)
    assert (told["description"], told["url"]) == ("To the street", "rtsp://***@10.0.0.7/h264")
    assert client.patch(path, json={"description": ""}).json()["description"] == ""
    unchanged = client.patch(path, json={"name": ""}).json()
    assert unchanged["name"] == "new"
    for nothing in ({}, {"name": None, "url": None}):
        told = client.patch(path, json=nothing).json()
        assert as_configured(told) == as_configured(unchanged)


@pytest.mark.parametrize(
    ("patch", "status", "code"),
    [
        ({"id": "other"}, 400, "invalid_request"),
        ({"sample_fps": 0}, 400, "invalid_request"),
        ({"url": "rtsp://***@host/door"}, 400, "stream_url_not_allowed"),
        ({"url": FORBIDDEN}, 400, "stream_url_not_allowed"),
        ({"url": url_of("yard")}, 409, "stream_exists"),
        ([], 400, "invalid_request"),
    ],
    ids=str,
)
def test_a_patch_that_may_not_be_changes_nothing(
    client: TestClient, patch: object, status: int, code: str
) -> None:
    before = client.get(DOOR).json()
    reply = client.patch(DOOR, json=patch)
    assert (reply.status_code, reply.headers["x-error-code"]) == (status, code)
    assert as_configured(client.get(DOOR).json()) == as_configured(before)


def test_a_stream_that_failed_is_tried_again_when_it_is_enabled(
    client: TestClient, staged: Stage
) -> None:
    staged.lock_out("door")
    assert client.get(DOOR).json()["state"] == "failed"
    staged.camera("door").refusal = None
    assert client.patch(DOOR, json={"enabled": True}).json()["state"] == "connecting"
    staged.show("door", plain(50))
    assert client.get(DOOR).json()["state"] == "running"


@pytest.mark.parametrize(
    ("url", "username", "password"),
    [
        ("rtsp://10.0.0.7/other", "u", "p"),
        ("rtsp://x:y@10.0.0.7/h264", "u", "p"),
        ("rtsp://10.0.0.8/h264", None, None),
        ("rtsp://10.0.0.7.evil.example/h264", None, None),
        ("rtsp://10.0.0.7:8554/h264", None, None),
    ],
)
def test_stored_passwords_go_to_no_other_host(
    client: TestClient, staged: Stage, url: str, username: str | None, password: str | None
) -> None:
    path = f"{ALL}/new"
    said = {"url": "rtsp://10.0.0.7/h264", "id": "new", "username": "u", "password": "p"}
    client.post(ALL, json=said)
    client.patch(path, json={"url": url})
    config = staged.streams.status("new").config
    assert (config.url, config.username, config.password) == (url, username, password)
    client.patch(path, json={"url": "rtsp://new", "username": "me", "password": "new"})
    config = staged.streams.status("new").config
    assert (config.username, config.password) == ("me", "new")


def test_an_address_that_is_none_is_refused_by_whoever_is_to_open_it(client: TestClient) -> None:
    reply = client.patch(DOOR, json={"url": "rtsp://[bad"})
    assert (reply.status_code, reply.headers["x-error-code"]) == (400, "stream_url_not_allowed")


def test_a_removed_stream_is_gone(client: TestClient) -> None:
    reply = client.delete(DOOR)
    assert reply.json() == {"id": "door", "object": "stream", "deleted": True}
    StreamDeleted.model_validate(reply.json())
    assert [one["id"] for one in client.get(ALL).json()["data"]] == ["yard"]
    for method in ("GET", "DELETE", "PATCH"):
        reply = client.request(method, DOOR)
        assert (reply.status_code, reply.headers["x-error-code"]) == (404, "stream_not_found")
        assert "yard" in reply.json()["error"]["message"]


def test_how_a_stream_stands_is_told(client: TestClient, staged: Stage) -> None:
    staged.show("door", plain(1), plain(2), plain(3))
    told = client.get(DOOR).json()
    assert told["state"] == "running"
    assert 0 <= told["last_frame_age_s"] < 10
    assert datetime.fromisoformat(told["last_frame_at"]) <= datetime.now(UTC) + timedelta(seconds=3)
    assert (told["width"], told["height"], told["codec"]) == (160, 90, "mjpeg")
    assert (told["buffer"]["frames"], told["frames_captured"]) == (3, 3)
    assert told["buffer"]["seconds"] == pytest.approx(2, abs=1)
    staged.lose("door")
    told = client.get(DOOR).json()
    assert (told["state"], told["state_reason"]) == ("lost", "the source closed the connection")


def test_other_methods_are_refused(client: TestClient) -> None:
    assert client.put(DOOR, json={}).headers["allow"] == "DELETE, GET, PATCH"
    assert client.delete(ALL).headers["allow"] == "GET, POST"


def test_streams_need_no_model(staged: Stage) -> None:
    client = serve(saying("", card=None), None, staged.streams)
    assert client.post(ALL, json={"url": "rtsp://a", "id": "new"}).status_code == 201
    assert client.get(DOOR).status_code == 200
    assert client.delete(DOOR).status_code == 200
    assert client.get("/v1/status").json()["streams"] == {"connecting": 2}
