"""A camera that is killed and comes back, seen from outside."""

from collections.abc import Iterator

import pytest
import requests

from demo.serving import free_port, served
from tests.e2e.alerting import PATIENCE_S, Api, demo_camera, of_kind, sse, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served({"VLM_STREAM_STALE_S": "2"}) as url:
        yield Api(url)


def state(api: Api) -> str:
    return str(api.get("/v1/streams/door")["state"])


def test_a_camera_that_is_killed_is_lost_and_found(api: Api) -> None:
    port = free_port()
    with sse(api.url, type="stream_lost") as messages:
        with demo_camera(port) as said:
            api.add_stream("door", next(said)["url"])
            api.add_rule("r-car", "door", prompt="Is there a car?")
            until(lambda: api.rule_on("r-car", "door")["num_looks"] > 0, "a look")
        begin = of_kind(messages, "begin", stream_id="door")
        check_nothing_pretends(api)
        num_looks = api.rule_on("r-car", "door")["num_looks"]
        with demo_camera(port):
            end = of_kind(messages, "end", stream_id="door")
            assert (end["event"]["id"], end["event"]["state"]) == (begin["event"]["id"], "ended")
            assert state(api) == "running"
            until(lambda: api.rule_on("r-car", "door")["num_looks"] > num_looks, "looks go on")
            assert api.get("/v1/streams/door")["reconnects"] == 1


def check_nothing_pretends(api: Api) -> None:
    """No state, picture or answer is given as one of now; the service itself is well."""
    assert state(api) == "lost"
    until(lambda: api.get("/v1/streams/door")["last_frame_age_s"] > 2, "its frame grows old")
    snapshot = api.file("/v1/streams/door/snapshot.jpg")
    assert float(snapshot.headers["x-frame-age-s"]) > 2
    part = {"type": "stream", "stream": {"stream_id": "door"}}
    text = {"type": "text", "text": "Is there a car?"}
    body = {"messages": [{"role": "user", "content": [part, text]}]}
    reply = requests.post(f"{api.url}/v1/chat/completions", json=body, timeout=PATIENCE_S)
    assert (reply.status_code, reply.headers["x-error-code"]) == (503, "stream_no_fresh_frame")
    tested = api.post("/v1/rules/r-car/test", {})["results"][0]
    assert (tested["score"], tested["error"]) == (None, "stream_no_fresh_frame")
    assert api.file("/readyz").ok
