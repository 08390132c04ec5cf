"""Ready or not, and the status."""

from pathlib import Path

import pytest

from contracts.generation import ModelCard, ModelState
from runners.scripted import CARD, ScriptedRunner
from tests.api.alert_house import alert_house
from tests.api.fakes import serve
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


async def test_a_store_that_cannot_be_written_is_unhealthy(tmp_path: Path) -> None:
    async with alert_house(tmp_path) as house:
        assert (await house.client.get(READY)).status_code == 200
    async with alert_house(tmp_path) as house:
        refuse_writing(house.alerts._database, True)
        reply = await house.client.get(READY)
        assert (reply.status_code, reply.json()) == (503, {"detail": "unhealthy"})
        assert reply.headers["x-error-code"] == "storage_unavailable"
