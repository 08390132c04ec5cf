"""Ready or not, and the status."""

from pathlib import Path

import pytest

from api.reply_schemas import StatusReply
from contracts.generation import ModelCard, ModelState
from runners.scripted import CARD, ScriptedRunner
from tests.api.alert_house import alert_house
from tests.api.fakes import saying, serve
from tests.live.house import refuse_writing

READY = "/api/v1/health/ready"


class Broken(ScriptedRunner):
    """Loaded, and its engine stands still."""

    @property
    def state(self) -> ModelState:
        return "failed" if self.card else "loading"


def test_a_ready_service_is_healthy() -> None:
    reply = serve().get(READY)
    assert (reply.status_code, reply.json()) == (200, {"detail": "healthy"})
    assert serve().head(READY).status_code == 200
    assert serve().head(READY).content == b""


@pytest.mark.parametrize(
    ("card", "detail", "code"),
    [(None, "model loading", "model_loading"), (CARD, "unhealthy", "model_unavailable")],
)
def test_an_unready_service_is_503(card: ModelCard | None, detail: str, code: str) -> None:
    client = serve(Broken(card=card))
    reply = client.get(READY)
    assert (reply.status_code, reply.json()) == (503, {"detail": detail})
    assert reply.headers["x-error-code"] == code
    assert reply.headers["x-should-retry"] == "true"
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert client.head(READY).status_code == 503


@pytest.mark.parametrize(
    ("runner", "state", "progress"),
    [(saying(), "ready", 1), (saying(card=None), "loading", 0), (Broken(card=CARD), "failed", 0)],
)
def test_the_status_tells_of_the_model(runner: ScriptedRunner, state: str, progress: float) -> None:
    got = serve(runner, quantization="nf4").get("/v1/status").json()
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
    reply = serve().get("/v1/status?verbose=1")
    assert (reply.status_code, reply.headers["x-error-code"]) == (400, "invalid_request")


async def test_a_store_that_cannot_be_written_is_unhealthy(tmp_path: Path) -> None:
    async with alert_house(tmp_path) as house:
        assert (await house.client.get(READY)).status_code == 200
    async with alert_house(tmp_path) as house:
        refuse_writing(house.alerts._database, True)
        reply = await house.client.get(READY)
        assert (reply.status_code, reply.json()) == (503, {"detail": "unhealthy"})
        assert reply.headers["x-error-code"] == "storage_unavailable"
