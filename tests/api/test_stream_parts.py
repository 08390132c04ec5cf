"""Questions about live streams."""

import io
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from api.deps import ServiceDeps
from api.reply_schemas import ChatCompletion, MediaProbe
from contracts.chat import ImagePart, VideoPart
from live.previews.live_previews import LivePreviews
from runners.scripted import ScriptedRunner
from tests.api.fakes import client_of, deps_of, image, saying, serve, text, user, video
from tests.live.hand_cameras import Stage, plain, stage

CHAT = "/v1/chat/completions"
JPS = "/api/v1/chat/completions"
PART = "messages[0].content[0].stream"


def camera(stream_id: object = "door", **wishes: object) -> dict[str, object]:
    return {"type": "stream", "stream": {"stream_id": stream_id, **wishes}}


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard") as made:
        made.show("door", *(plain(10 * number) for number in range(1, 21)))
        yield made


@pytest.fixture
def runner() -> ScriptedRunner:
    return saying("Nobody", " is there.", times=3)


@pytest.fixture
def deps(runner: ScriptedRunner, staged: Stage) -> Iterator[ServiceDeps]:
    made = deps_of(runner, None, staged.streams, max_frames=16, max_videos=2)
    yield made
    assert isinstance(made.previews, LivePreviews)
    made.previews.close()


@pytest.fixture
def client(deps: ServiceDeps) -> TestClient:
    return client_of(deps)


def greys(part: object) -> list[int]:
    """What the model was shown."""
    if isinstance(part, ImagePart):
        return [round(float(part.picture.rgb.mean()))]
    assert isinstance(part, VideoPart)
    return [round(float(frame.rgb.mean())) for frame in part.clip.frames]


def seen_by(runner: ScriptedRunner) -> list[int]:
    return greys(runner.requests[-1].messages[-1].parts[0])


@pytest.mark.parametrize(
    ("wishes", "seen"),
    [
        ({}, [200]),
        ({"frames": None, "last_seconds": None, "detail": None, "allow_stale": None}, [200]),
        ({"frames": 1}, [200]),
        ({"frames": 3}, [180, 190, 200]),
        ({"last_seconds": 4.5, "frames": 3}, [160, 180, 200]),
        ({"last_seconds": 4.5, "frames": 1}, [200]),
        ({"last_seconds": 1.5}, [190, 200]),
        ({"last_seconds": 60, "frames": 2}, [10, 200]),
        ({"detail": "low", "frames": 2}, [190, 200]),
    ],
    ids=str,
)
def test_the_asked_frames_are_seen_in_time_order(
    client: TestClient, runner: ScriptedRunner, wishes: dict[str, object], seen: list[int]
) -> None:
    reply = client.post(CHAT, json=user(camera(**wishes), text("Who is there?")))
    assert reply.status_code == 200
    assert seen_by(runner) == pytest.approx(seen, abs=2)
    ChatCompletion.model_validate(reply.json())
    (told,) = reply.json()["media_info"]
    assert (told["type"], told["stream_id"], told["frame_count"]) == ("stream", "door", len(seen))


def test_without_a_number_it_is_the_models(client: TestClient, runner: ScriptedRunner) -> None:
    client.post(CHAT, json=user(camera(last_seconds=60), text("?")))
    assert len(seen_by(runner)) == runner.require_card().frame_policy.num_frames == 8


def test_the_reply_says_when_the_frames_were_captured(client: TestClient, staged: Stage) -> None:
    reply = client.post(CHAT, json=user(camera(frames=3), image(), text("?"), video()))
    told, picture, clip = reply.json()["media_info"]
    assert [picture["type"], clip["type"]] == ["image", "video"]
    assert told["frame_times"][0] == 0
    assert told["frame_times"] == sorted(told["frame_times"])
    begin, end = (datetime.fromisoformat(told[f"captured_{way}"]) for way in ("from", "to"))
    assert (end - begin).total_seconds() == pytest.approx(told["frame_times"][-1], abs=0.01)
    last_at = staged.streams.status("door").last_frame_at
    assert last_at is not None
    assert abs((last_at - end).total_seconds()) < 0.01
    assert 0 <= told["age_s"] < 10


def test_the_model_is_told_when_they_were(client: TestClient, runner: ScriptedRunner) -> None:
    client.post(CHAT, json=user(camera(frames=3), text("?")))
    part = runner.requests[-1].messages[-1].parts[0]
    assert isinstance(part, VideoPart)
    assert part.clip.frame_times_s == pytest.approx([0, 1, 2], abs=0.9)
    assert part.clip.duration_s == part.clip.frame_times_s[-1]


def test_one_frame_may_be_seen_in_tiles(client: TestClient, runner: ScriptedRunner) -> None:
    reply = client.post(CHAT, json=user(camera(detail="high"), text("?")))
    part = runner.requests[-1].messages[-1].parts[0]
    assert isinstance(part, ImagePart)
    assert (part.detail, part.picture.width, part.picture.height) == ("high", 160, 90)
    assert greys(part) == pytest.approx([200], abs=2)
    usage = reply.json()["usage"]["prompt_tokens_details"]
    assert (usage["image_tokens"], usage["video_tokens"]) == (1, 0)
    (told,) = reply.json()["media_info"]
    assert (told["type"], told["frame_count"], told["frame_times"]) == ("stream", 1, [0.0])


def test_what_was_read_is_a_copy(client: TestClient, runner: ScriptedRunner, staged: Stage) -> None:
    client.post(CHAT, json=user(camera(frames=4), text("?")))
    before = staged.streams.status("door")
    staged.show("door", *(plain(250) for _ in range(20)))
    assert seen_by(runner) == pytest.approx([170, 180, 190, 200], abs=2)
    assert staged.streams.status("door").frames_captured == before.frames_captured + 20


@pytest.mark.parametrize(
    ("wishes", "code", "param"),
    [
        ({"frames": 0}, "invalid_request", "frames"),
        ({"frames": 17}, "too_many_frames", "frames"),
        ({"frames": 1.5}, "invalid_request", "frames"),
        ({"last_seconds": 0}, "invalid_request", "last_seconds"),
        ({"last_seconds": 60.1}, "invalid_request", "last_seconds"),
        ({"last_seconds": "all"}, "invalid_request", "last_seconds"),
        ({"detail": "auto"}, "invalid_request", "detail"),
        ({"detail": "high", "frames": 2}, "conflicting_parameters", "detail"),
        ({"detail": "high", "last_seconds": 2}, "conflicting_parameters", "detail"),
        ({"allow_stale": 1}, "invalid_request", "allow_stale"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(
    client: TestClient, wishes: dict[str, object], code: str, param: str
) -> None:
    reply = client.post(CHAT, json=user(camera(**wishes), text("?")))
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == (code, f"{PART}.{param}")
    status = 422 if code == "invalid_request" else 400
    assert client.post(JPS, json=user(camera(**wishes), text("?"))).status_code == status


def test_fields_that_are_not_known_are_named(client: TestClient) -> None:
    reply = client.post(CHAT, json=user(camera(fps=3), text("?")))
    assert reply.headers["x-ignored-parameters"] == f"{PART}.fps"


def test_stream_parts_count_as_videos(client: TestClient) -> None:
    reply = client.post(CHAT, json=user(camera(), video(), camera(), text("?")))
    assert (reply.status_code, reply.headers["x-error-code"]) == (400, "too_many_media")


@pytest.mark.parametrize("stream_id", ["attic", "", None, "DOOR"])
def test_an_unknown_stream_is_not_found(client: TestClient, stream_id: object) -> None:
    reply = client.post(CHAT, json=user(camera(stream_id), text("?")))
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("stream_not_found", f"{PART}.stream_id")
    assert "door, yard" in error["message"]


@pytest.mark.parametrize(
    "part",
    [camera("aaa"), camera(""), camera(None), {"type": "stream"}, {"type": "stream", "stream": {}}],
)
def test_under_jps_the_only_stream_is_meant(part: dict[str, object]) -> None:
    with stage("door") as staged:
        staged.show("door", plain(50))
        runner = saying("a")
        reply = serve(runner, None, staged.streams).post(JPS, json=user(part, text("?")))
        assert reply.status_code == 200
        assert reply.json()["media_info"][0]["stream_id"] == "door"
        assert seen_by(runner) == pytest.approx([50], abs=2)


@pytest.mark.parametrize("part", [camera("aaa"), camera(""), {"type": "stream", "stream": None}])
def test_with_several_they_are_listed_and_with_none_that_is_said(
    client: TestClient, part: dict[str, object]
) -> None:
    reply = client.post(JPS, json=user(part, text("?")))
    assert reply.status_code == 404
    assert "door, yard" in reply.json()["detail"]
    reply = serve().post(JPS, json=user(part, text("?")))
    assert (reply.status_code, reply.json()) == (404, {"detail": "No stream has been added."})
    error = serve().post(CHAT, json=user(part, text("?")))
    assert (error.status_code, error.headers["x-error-code"]) == (404, "stream_not_found")


def test_a_stream_without_a_fresh_frame_is_not_asked(client: TestClient, staged: Stage) -> None:
    for stream_id, retry in (("door", "true"), ("yard", "true"), ("door", "false")):
        if retry == "false":
            staged.switch_off("door")
        else:
            staged.stall()
        reply = client.post(CHAT, json=user(camera(stream_id), text("?")))
        assert (reply.status_code, reply.headers["x-error-code"]) == (503, "stream_no_fresh_frame")
        assert reply.headers["x-should-retry"] == retry
    stale = client.post(CHAT, json=user(camera(frames=2, allow_stale=True), text("?")))
    assert stale.status_code == 200
    assert stale.json()["media_info"][0]["age_s"] > 15
    none = client.post(CHAT, json=user(camera("yard", allow_stale=True), text("?")))
    assert none.headers["x-error-code"] == "stream_no_fresh_frame"


def test_a_wrong_stream_is_told_before_the_model_is_there(staged: Stage) -> None:
    client = serve(saying("", card=None), None, staged.streams)
    assert client.post(CHAT, json=user(camera("attic"), text("?"))).status_code == 404
    loading = client.post(JPS, json=user(camera("door"), text("?")))
    assert loading.status_code == 503
    expected = "VLM Model is still loading. Please try again later."
    assert loading.json() == {"detail": expected}


def test_frames_count_against_the_memory_for_pixels(staged: Stage) -> None:
    for number in range(16):
        staged.show("yard", np.full((1280, 1280, 3), number, np.uint8))
    client = serve(None, None, staged.streams, media_memory_mb=64)
    reply = client.post(CHAT, json=user(camera("yard", frames=16), text("?")))
    assert (reply.status_code, reply.headers["x-error-code"]) == (400, "too_many_media")


def test_a_probe_reads_streams_too(client: TestClient) -> None:
    reply = client.post("/v1/media/probe", json=user(camera(frames=3), text("?")))
    MediaProbe.model_validate(reply.json())
    assert reply.json()["media_info"][0]["frame_count"] == 3
    assert reply.json()["prompt_tokens_details"]["video_tokens"] == 3


def test_a_text_does_not_disturb_previews(client: TestClient) -> None:
    assert client.post(CHAT, json=user("hi")).status_code == 200
    assert client.get("/v1/models").json()["data"][0]["capabilities"]["streams"] is True


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_was_answered_stands_in_the_picture(client: TestClient, *, is_streamed: bool) -> None:
    path = "/v1/streams/door/snapshot.jpg?overlay=1"
    before = client.get(path).content
    body = user(camera(), text("Who is there?"), stream=is_streamed)
    assert client.post(CHAT, json=body).status_code == 200
    after = client.get(path).content
    rows = [np.asarray(Image.open(io.BytesIO(jpeg)))[-30:] for jpeg in (before, after)]
    assert rows[0].min() > 150  # nothing is written below
    assert rows[1].min() < 120
    other = client.get("/v1/streams/yard/snapshot.jpg?overlay=1")
    assert other.status_code == 503
