"""The whole service, killed in the middle of events.

``live/test_kill`` kills the store's half of it, and is quick.
"""

import random
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from demo.files import Encoding, write_clip
from demo.scenes import Colour, Kind
from demo.serving import started
from tests.e2e.alerting import Api, until
from tests.e2e.conftest import scene, thing
from tests.live.aftermath import check_messages, check_notifications, stored
from tests.live.receiver import Receiver, receiving

pytestmark = pytest.mark.e2e

COOLDOWNS_S = {"r-eager": 0, "r-patient": 7}
MOST_DELAY_S = 5.0  # longer than somebody stays


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    """A recording of somebody who comes after two seconds of eight, and goes after six."""
    person = replace(thing(Kind.PERSON, Colour.YELLOW, (0.5, 0.5)), on=((0.25, 0.75),))
    path = tmp_path / "visits.mp4"
    play = replace(scene(person), duration_s=8.0)
    write_clip(path, play, Encoding((320, 180), Fraction(10)))
    return path


class Lives:
    """Lives of one service: what it knows and where it looks outlast each."""

    def __init__(self, visits: Path, receiver: Receiver) -> None:
        self._visits = visits
        self._receiver = receiver
        self.data_dir = visits.parent / "data"
        self._variables = {
            "VLM_DATA_DIR": str(self.data_dir),
            "VLM_STREAM_ROOT": str(visits.parent),
            "VLM_MEDIA_ALLOW": "127.0.0.1",
            "VLM_STILL_LOOK_S": "0",
            "VLM_CLIP_POST_S": "1",
            "VLM_SINKS": f'{{"hook": {{"url": "{receiver.url("/hook")}"}}}}',
            "VLM_DEFAULT_NOTIFY": '["hook"]',
        }

    def end_by_kill(self, delay_s: float) -> None:
        """Live until an event is open, and that much longer."""
        with started(self._variables) as service:
            service.wait_until_ready()
            api = Api(service.url)
            if not api.get("/v1/streams")["data"]:
                self._begin(api)
            until(lambda: bool(api.get("/v1/events", state="open")["data"]), "an event")
            time.sleep(delay_s)
            service.kill()

    def _begin(self, api: Api) -> None:
        """Add the camera and the rules."""
        api.add_stream("door", f"file://{self._visits}", loop=True)
        for rule_id, cooldown_s in COOLDOWNS_S.items():
            api.add_rule(rule_id, "door", cooldown_s=cooldown_s)

    def end(self) -> None:
        """Let every event end, and every notification arrive."""
        with started(self._variables) as service:
            service.wait_until_ready()
            api = Api(service.url)
            api.delete("/v1/streams/door")
            until(lambda: not api.get("/v1/events", state="open")["data"], "the end of events")
            until(lambda: not api.get("/v1/deliveries", state="pending")["data"], "deliveries")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("num_kills", [1, 20], ids=lambda count: f"{count}_kills")
async def test_no_kill_loses_an_event_or_a_notification(
    visits: Path, num_kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(num_kills)
    with receiving() as receiver:
        receiver.refuse("/hook", *(500 if source.random() < 0.1 else 200 for _ in range(500)))
        lives = Lives(visits, receiver)
        for _ in range(num_kills):
            lives.end_by_kill(source.uniform(0, MOST_DELAY_S))
        lives.end()
        messages, sent = await stored(lives.data_dir)
        check_messages(messages)
        check_notifications(messages, sent, receiver)
    ended = {message.event.id for message in messages if message.kind == "end"}
    assert {message.event.id for message in messages} == ended
    with capsys.disabled():  # what a person who runs the long one wants to know
        sys.stdout.write(
            f"{len(ended)} events, {len(sent)} messages told in {len(receiver.received)} attempts "
        )
