"""What earlier systems did wrong, through the served bundle.

Each of their faults, and the tests that fail on it:

- Old frames are seen, or frames in another order: here, and ``live/streams/test_selection``,
  ``test_ring_buffer``.
- A chat stops the alerts: here.
- A blank rule is asked, or shifts the numbers of the others: ``api/test_jps_alerts``,
  ``api/test_rules``, ``live/alerting/test_rule_book``.
- ``Yes.`` is not ``yes``: ``runners/test_judging``; answers are judged by their likelihood.
- A second stream evicts the first: here, and ``live/streams/test_registry``.
- A lost camera never comes back: ``live/capture/test_reconnecting`` (an hour, on a simulated
  clock), ``test_lost_cameras``; and nobody is told of it: ``test_lost_cameras``.
- A rule that is set while the model loads is dropped: here.
- What does not work is reported as healthy: here, ``test_lost_cameras``, ``api/test_health``,
  ``live/streams/test_state``, ``live/alerting/test_evaluation``.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from demo.serving import Service, served, started
from tests.e2e.alerting import (
    PATIENCE_S,
    Api,
    SceneCamera,
    of_kind,
    scene_camera,
    sse,
    until,
)
from tests.e2e.conftest import SCENES

pytestmark = pytest.mark.e2e

MOVE_S = 6.0
PERSON = "Is there a person?"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served() as url:
        yield Api(url)


@pytest.fixture
def door(api: Api) -> Iterator[SceneCamera]:
    with scene_camera() as (pictures, camera):
        api.add_stream("door", camera.url())
        yield pictures
        api.delete("/v1/streams/door")


def test_the_newest_frame_is_seen(api: Api, door: SceneCamera) -> None:
    for name, question in (("person", PERSON), ("fire", "Is there a fire?")) * 2:
        door.show(SCENES[name])
        wait_for_frames(api, 2)
        for asked in (PERSON, "Is there a fire?"):
            answer = api.ask({"stream_id": "door"}, asked)
            assert answer.startswith("Yes" if asked == question else "No"), (name, asked)


def wait_for_frames(api: Api, count: int) -> None:
    """Wait for so many new frames of the door."""
    last = api.get("/v1/streams/door")["frames_captured"] + count
    until(lambda: api.get("/v1/streams/door")["frames_captured"] >= last, "new frames")


def test_frames_are_seen_in_order(api: Api, door: SceneCamera) -> None:
    door.show(SCENES["left"], lasts_s=MOVE_S)
    began = api.get("/v1/streams/door")["buffer"]["seconds"]
    until(lambda: api.get("/v1/streams/door")["buffer"]["seconds"] > began + MOVE_S, "the move")
    stream = {"stream_id": "door", "last_seconds": MOVE_S - 1, "frames": 8}
    assert "left" in api.ask(stream, "Which way does the red circle move?")


@contextmanager
def chatting(api: Api) -> Iterator[list[str]]:
    """Ask without a pause while the block lasts; the answers."""
    answers: list[str] = []
    is_over = threading.Event()

    def talk() -> None:
        own = Api(api.url)
        while not is_over.is_set():
            answers.append(own.ask({"stream_id": "door", "last_seconds": 2}, "What happens?"))

    talkers = [threading.Thread(target=talk) for _ in range(2)]
    for talker in talkers:
        talker.start()
    try:
        yield answers
    finally:
        is_over.set()
        for talker in talkers:
            talker.join()


def test_chats_do_not_stop_alerts(api: Api, door: SceneCamera) -> None:
    with sse(api.url) as messages, chatting(api) as answers:
        api.add_rule("r-person", "door")
        until(lambda: len(answers) >= 3, "answers")
        num_before = len(answers)
        door.show(SCENES["person"])
        of_kind(messages, "begin", rule_id="r-person")
        door.show(SCENES["empty"])
        of_kind(messages, "end", rule_id="r-person")
        until(lambda: len(answers) > num_before, "more answers")
    assert api.rule_on("r-person", "door")["state"] == "off"


def test_a_second_stream_does_not_evict_the_first(api: Api) -> None:
    with scene_camera() as (one, camera), scene_camera() as (other, second):
        urls = [camera.url(), second.url()]
        ids = [api.post("/api/v1/live-stream", {"liveStreamUrl": url})["id"] for url in urls]
        assert [told["id"] for told in api.get("/api/v1/live-stream")] == ids
        with sse(api.url) as messages:
            next(messages)
            api.post("/api/v1/alerts", {"alerts": [PERSON]})
            for pictures, stream_id in zip((one, other), ids, strict=True):
                pictures.show(SCENES["person"])
                of_kind(messages, "begin", stream_id=stream_id, prompt=PERSON)
        assert api.get("/api/v1/alerts")[0]["status"] == 1
        for stream_id in ids:
            api.delete(f"/api/v1/live-stream/{stream_id}")
        api.delete("/api/v1/alerts")


def test_a_rule_that_is_set_while_the_model_loads_is_kept() -> None:
    with started() as service, scene_camera() as (pictures, camera):
        wait_for_the_port(service)
        early = Api(service.url)
        early.post("/api/v1/alerts", {"alerts": [PERSON]})
        ready = requests.get(f"{service.url}/readyz", timeout=PATIENCE_S)
        assert ready.status_code == 503
        early.add_stream("door", camera.url())
        service.wait_until_ready()
        with sse(service.url) as messages:
            pictures.show(SCENES["person"])
            assert of_kind(messages, "begin")["event"]["prompt"] == PERSON


def wait_for_the_port(service: Service) -> None:
    def is_open() -> bool:
        try:
            return requests.get(f"{service.url}/livez", timeout=PATIENCE_S).ok
        except requests.ConnectionError:
            return False

    until(is_open, "the port")
