"""The status: what is served, and how it stands."""

from dataclasses import replace
from pathlib import Path

import pytest

from api.status_replies import StatusReply
from contracts.engine_stats import ClassStats, EngineStats
from contracts.generation import ModelState
from contracts.notify import NotifyTarget, WebhookSink
from live.store.tables import deliveries
from runners.scripted import CARD, ScriptedRunner
from tests.api.alert_house import alert_house
from tests.api.fakes import saying, serve
from tests.live.hand_cameras import stage
from tests.live.house import QUICK

STATUS = "/v1/status"


class Broken(ScriptedRunner):
    """Loaded, and its engine stands still."""

    @property
    def state(self) -> ModelState:
        return "failed"


class Loading(ScriptedRunner):
    """Has a third of the weights."""

    @property
    def progress(self) -> float:
        return 1 / 3


class Busy(ScriptedRunner):
    """Has much to do."""

    def stats(self) -> EngineStats:
        chat = ClassStats(num_waiting=3, num_running=2)
        return EngineStats({"chat": chat, "alert": ClassStats(num_running=1)})


@pytest.mark.parametrize(
    ("runner", "state", "progress"),
    [
        (saying(), "ready", 1),
        (saying(card=None), "loading", 0),
        (Loading(card=None), "loading", 0.333),
        (Broken(), "failed", 1),
    ],
)
def test_the_status_tells_of_the_model(runner: ScriptedRunner, state: str, progress: float) -> None:
    got = serve(runner, quantization="nf4").get(STATUS).json()
    StatusReply.model_validate(got)
    assert got["version"] == "1.2.3"
    assert got["uptime_s"] >= 0
    assert got["model"] == {
        "name": "m",
        "runner": "transformers",
        "quantization": "nf4",
        "device": "auto",
        "max_model_len": 4096 if runner.card else None,
        "state": state,
        "progress": progress,
    }


def test_the_status_takes_no_query() -> None:
    reply = serve().get(f"{STATUS}?verbose=1")
    assert (reply.status_code, reply.headers["x-error-code"]) == (400, "invalid_request")


def test_what_was_loaded_counts_more_than_what_was_asked_for() -> None:
    card = replace(CARD, device="cuda:0", quantization="nf4")
    model = serve(saying(card=card), device="auto", quantization="none").get(STATUS).json()["model"]
    assert (model["device"], model["quantization"]) == ("cuda:0", "nf4")


def test_an_app_without_alerts_has_nothing_of_theirs() -> None:
    got = serve(Busy()).get(STATUS).json()
    assert got["engine"] == {"queue": {"chat": 3, "upload": 0, "alert": 0}, "running": 3}
    assert got["streams"] == {}
    assert got["rules"] == {"on": 0}
    assert got["outbox"] == {"depth": 0, "oldest_s": None}


async def test_the_status_tells_of_streams_rules_and_deliveries(tmp_path: Path) -> None:
    told = (NotifyTarget(WebhookSink("http://127.0.0.2/")),)
    with stage("door") as staged:
        async with alert_house(tmp_path, staged.streams, default_notify=told) as house:
            await house.alerts.rules.add(QUICK)
            await house.see(QUICK, "Y")
            house.clock.set(10)
            got = (await house.client.get(STATUS)).json()
            StatusReply.model_validate(got)
            assert got["streams"] == {"connecting": 1}
            assert got["rules"] == {"on": 1, "unknown": 1}
            assert got["outbox"] == {"depth": 1, "oldest_s": 8.0}
            await house.alerts._database.write(lambda c: deliveries.drop(c))
            got = (await house.client.get(STATUS)).json()
            StatusReply.model_validate(got)
            assert got["outbox"] == {"depth": None, "oldest_s": None}
            assert got["rules"]["on"] == 1
