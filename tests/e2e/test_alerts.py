"""A rule on a camera, from the first look to everybody who is told; real clients, no keys."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from demo.serving import served
from tests.e2e.alerting import Api, SceneCamera, of_kind, read, scene_camera, socket, sse, until
from tests.e2e.conftest import SCENES
from tests.live.receiver import Receiver, receiving
from tests.live.rtsp_cameras import RtspCamera

pytestmark = pytest.mark.e2e

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no less").decode()
FEED = "/v1/events/feed"
JPS_FEED = "/api/v1/alerts/ws"
JPS_KEYS = ["title", "description", "alert_id", "type", "rule_string", "timestamp", "stream_id"]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    variables = {
        "VLM_MEDIA_ALLOW": "127.0.0.1",
        "VLM_STILL_LOOK_S": "0",  # updates come with looks, and people stand still here
        "VLM_CLIP_PRE_S": "2",
        "VLM_CLIP_POST_S": "1",
    }
    with served(variables) as url:
        yield Api(url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def door(api: Api) -> Iterator[SceneCamera]:
    """A camera that is a stream of the service; nobody is at the door."""
    with scene_camera() as (pictures, camera):
        yield from added(api, "door", pictures, camera)


def added(api: Api, name: str, pictures: SceneCamera, camera: RtspCamera) -> Iterator[SceneCamera]:
    api.add_stream(name, camera.url(), name="Front door")
    yield pictures
    api.delete(f"/v1/streams/{name}")


def until_off(api: Api, rule_id: str) -> None:
    """Wait until a look has seen nobody."""
    until(lambda: api.rule_on(rule_id, "door")["state"] == "off", "a look at nobody")


def visit(door: SceneCamera, messages: Iterator[dict[str, object]]) -> tuple[str, str]:
    """Somebody comes and goes; the cursors of begin and end."""
    door.show(SCENES["person"])
    begin = of_kind(messages, "begin")
    door.show(SCENES["empty"])
    end = of_kind(messages, "end")
    assert begin["event"]["id"] == end["event"]["id"]
    return begin["cursor"], end["cursor"]


def test_everybody_is_told_when_it_begins_goes_on_and_ends(
    api: Api, door: SceneCamera, receiver: Receiver
) -> None:
    notify = [{"url": receiver.url("/hook"), "secret": SECRET, "on": ["begin", "update", "end"]}]
    with sse(api.url) as messages, socket(api.url, FEED) as ours, socket(api.url, JPS_FEED) as jps:
        assert next(messages)["kind"] == read(ours)["kind"] == "hello"
        api.add_rule("r-person", "door", notify=notify)
        until_off(api, "r-person")
        door.show(SCENES["person"])
        told = [of_kind(messages, "begin"), of_kind(messages, "update")]
        door.show(SCENES["empty"])
        told.append(of_kind(messages, "end"))
        heard = [read(ours)]
        while heard[-1]["kind"] != "end":
            heard.append(read(ours))
        alarm = read(jps)
    begin, update, end = told
    assert all(message in heard for message in told)
    assert {message["event"]["id"] for message in heard} == {begin["event"]["id"]}
    assert [int(message["cursor"]) for message in heard] == [
        *range(int(begin["cursor"]), int(end["cursor"]) + 1)
    ]
    assert begin["event"]["state"] == update["event"]["state"] == "open"
    assert (end["event"]["state"], end["event"]["end_reason"]) == ("ended", "cleared")
    assert begin["event"]["began_at"] < update["event"]["updated_at"] < end["event"]["ended_at"]
    assert list(alarm) == JPS_KEYS
    assert (alarm["alert_id"], alarm["stream_id"]) == ("r-person", "door")

    receiver.wait_for("/hook", len(heard))
    posted = [json.loads(one.body) for one in receiver.received]
    assert posted == [{"version": 1, **message} for message in heard]
    hook = Webhook(SECRET)
    for one in receiver.received:
        assert hook.verify(one.body, one.headers) == json.loads(one.body)
    with pytest.raises(WebhookVerificationError):
        hook.verify(receiver.received[0].body + b" ", receiver.received[0].headers)


def test_the_evidence_shows_what_was_seen(api: Api, door: SceneCamera, tmp_path: Path) -> None:
    with sse(api.url) as messages:
        api.add_rule("r-person", "door")
        until_off(api, "r-person")
        door.show(SCENES["person"])
        event_id = of_kind(messages, "begin")["event"]["id"]
    picture = np.frombuffer(api.file(f"/v1/events/{event_id}/frame.jpg").content, np.uint8)
    frame = cv2.imdecode(picture, cv2.IMREAD_COLOR)
    assert frame is not None
    assert frame.shape == (360, 640, 3)
    assert is_yellow(frame)  # the person

    def is_ready() -> bool:
        return bool(api.get(f"/v1/events/{event_id}")["evidence"]["clip_ready"])

    until(is_ready, "the clip")
    (tmp_path / "clip.mp4").write_bytes(api.file(f"/v1/events/{event_id}/clip.mp4").content)
    capture = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    frames = [frame for ok, frame in iter(capture.read, (False, None)) if ok]
    capture.release()
    assert len(frames) >= 3
    assert not is_yellow(frames[0])  # before
    assert is_yellow(frames[-1])  # after


def is_yellow(bgr: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bool:
    """Whether the middle of a picture has the person's colour."""
    blue, green, red = bgr[120:240, 260:380].reshape(-1, 3).astype(int).T
    return bool(((red > 180) & (green > 160) & (blue < 110)).sum() > 500)


def test_a_reader_that_was_away_resumes_where_it_left(api: Api, door: SceneCamera) -> None:
    with sse(api.url, type="alert") as messages:
        start = next(messages)["cursor"]
        api.add_rule("r-person", "door")
        begin, end = visit(door, messages)
    for last_seen, missed in ((start, begin), (begin, str(int(begin) + 1))):
        with sse(api.url, last_event_id=last_seen, type="alert") as messages:
            assert next(messages)["cursor"] == last_seen
            cursors = [next(messages)["cursor"]]
            while cursors[-1] != end:
                cursors.append(next(messages)["cursor"])
        assert cursors == [str(number) for number in range(int(missed), int(end) + 1)]
    with socket(api.url, f"{FEED}?after={begin}") as ours:
        assert read(ours)["cursor"] == begin
        assert read(ours)["cursor"] == str(int(begin) + 1)


def test_what_happened_is_read_page_by_page(api: Api, door: SceneCamera) -> None:
    with sse(api.url) as messages:
        start = next(messages)["cursor"]
        api.add_rule("r-pages", "door")
        cursors = [visit(door, messages)[1] for _ in range(3)]
    pages = [api.get("/v1/events", limit=1, order="asc", rule_id="r-pages")]
    while pages[-1]["next"]:
        page = pages[-1]["next"]
        assert pages[-1]["has_more"]
        pages.append(api.get("/v1/events", limit=1, order="asc", rule_id="r-pages", page=page))
    assert [event["cursor"] for page in pages for event in page["data"]] == cursors
    assert int(pages[-1]["latest"]) >= int(cursors[-1])
    assert not pages[-1]["has_more"]
    newer = api.get("/v1/events", after=cursors[0], rule_id="r-pages")["data"]
    assert [event["cursor"] for event in newer] == cursors[1:]
    assert api.get("/v1/events", after=start, state="open", rule_id="r-pages")["data"] == []
    newest = api.get("/v1/events", limit=1)["data"]
    assert [event["cursor"] for event in newest] == cursors[-1:]
