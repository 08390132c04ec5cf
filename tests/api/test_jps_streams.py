"""Live streams as clients of JPS know them."""

import uuid
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from contracts.errors import SourceError, SourceUnauthorized, SourceUnreachable
from tests.api.fakes import saying, serve
from tests.live.hand_cameras import Stage, plain, stage, url_of

ALL = "/api/v1/live-stream"
CAMERA = {"liveStreamUrl": "v4l2:///dev/video7"}


@pytest.fixture
def staged() -> Iterator[Stage]:
    """One stream, room for another, and a camera that shows something."""
    with stage("door", max_streams=2) as made:
        made.camera("video7").show(plain(50))
        yield made


@pytest.fixture
def client(staged: Stage) -> TestClient:
    return serve(None, None, staged.streams)


def test_a_stream_is_added_listed_and_removed(client: TestClient) -> None:
    client.delete(f"{ALL}/door")
    assert client.get(ALL).json() == []
    reply = client.post(ALL, json={**CAMERA, "description": "by the door"})
    assert reply.status_code == 200
    assert reply.json().keys() == {"id"}
    stream_id = reply.json()["id"]
    assert str(uuid.UUID(stream_id, version=4)) == stream_id
    assert client.get(ALL).json() == [
        {"id": stream_id, "liveStreamUrl": "v4l2:///dev/video7", "description": "by the door"}
    ]
    assert client.delete(f"{ALL}/{stream_id}").json() == {"detail": "Stream removed successfully"}
    assert client.get(ALL).json() == []


def test_both_views_show_the_same_streams(client: TestClient) -> None:
    said = {"url": "rtsp://u:p@host/new", "id": "new", "description": "By the door"}
    client.post("/v1/streams", json=said)
    _, told = client.get(ALL).json()
    expected = {"id": "new", "liveStreamUrl": "rtsp://***@host/new", "description": "By the door"}
    assert told == expected
    client.delete(f"{ALL}/new")
    stream_id = client.post(ALL, json={**CAMERA, "name": "Webcam"}).json()["id"]
    told = client.get(f"/v1/streams/{stream_id}").json()
    assert (told["name"], told["state"]) == ("Webcam", "running")
    client.delete(f"{ALL}/door")
    assert [one["id"] for one in client.get("/v1/streams").json()["data"]] == [stream_id]


def test_a_source_that_is_there_already_has_the_id_it_has(client: TestClient) -> None:
    reply = client.post(ALL, json={"liveStreamUrl": url_of("door")})
    assert (reply.status_code, reply.json()) == (200, {"id": "door"})


def test_fields_that_are_not_known_are_named_and_not_used(client: TestClient) -> None:
    reply = client.post(f"{ALL}?x=1", json={**CAMERA, "fps": 3, "codec": "x"})
    assert reply.status_code == 200
    assert reply.headers["x-ignored-parameters"] == "fps, codec"


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({}, ["body", "liveStreamUrl"], "missing"),
        ({"liveStreamUrl": None}, ["body", "liveStreamUrl"], "string_type"),
        ({"liveStreamUrl": ""}, ["body", "liveStreamUrl"], "string_too_short"),
        ({"liveStreamUrl": "r" * 1001}, ["body", "liveStreamUrl"], "string_too_long"),
        ({**CAMERA, "description": "d" * 1001}, ["body", "description"], "string_too_long"),
    ],
    ids=str,
)
def test_what_does_not_validate_is_listed(
    body: dict[str, object], loc: list[str], kind: str
) -> None:
    reply = serve().post(ALL, json=body)
    assert reply.status_code == 422
    (problem,) = reply.json()["detail"]
    assert (problem["loc"], problem["type"]) == (loc, kind)


@pytest.mark.parametrize(
    "refusal",
    [SourceUnauthorized("it wants a password"), SourceUnreachable("it is switched off")],
    ids=["failed", "lost"],
)
def test_a_source_that_refuses_is_not_added(
    client: TestClient, staged: Stage, refusal: SourceError
) -> None:
    staged.camera("video7").refusal = refusal
    reply = client.post(ALL, json=CAMERA)
    assert reply.status_code == 422
    assert reply.headers["x-error-code"] == "stream_connect_failed"
    assert reply.json() == {"detail": f"Failed to add stream. {refusal.message}"}
    assert [one["id"] for one in client.get(ALL).json()] == ["door"]


def test_a_source_that_is_not_permitted_is_refused(client: TestClient) -> None:
    reply = client.post(ALL, json={"liveStreamUrl": "file:///etc/passwd"})
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("files are no sources here")


def test_one_stream_too_many_is_refused_in_the_words_of_jps(client: TestClient) -> None:
    client.post(ALL, json=CAMERA)
    reply = client.post(ALL, json={"liveStreamUrl": "rtsp://new"})
    assert reply.status_code == 422
    expected = "Stream Maximum reached. Remove a stream first to add another."
    assert reply.json() == {"detail": expected}
    assert client.post("/v1/streams", json={"url": "rtsp://new"}).status_code == 409


def test_what_is_not_there_cannot_be_removed(client: TestClient) -> None:
    reply = client.delete(f"{ALL}/yard")
    assert reply.status_code == 422
    assert reply.json() == {"detail": "Stream ID yard does not exist. No stream removed."}
    client.delete(f"{ALL}/door")
    reply = client.delete(f"{ALL}/door")
    assert reply.status_code == 422
    assert reply.json() == {"detail": "No stream connected. Nothing to remove."}


def test_it_works_while_the_model_loads(staged: Stage) -> None:
    client = serve(saying("", card=None), None, staged.streams)
    assert client.post(ALL, json=CAMERA).status_code == 200
    assert len(client.get(ALL).json()) == 2
