"""Probes are answered soon and honestly, and cost little."""

import asyncio

import pytest

from api import readiness
from api.readiness import HOLDS_S, Readiness
from contracts.errors import StorageUnavailable
from runners.scripted import ScriptedRunner


class Store:
    """Takes what is written, refuses it, or hangs."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.is_moving = asyncio.Event()
        self.is_moving.set()
        self.num_checks = 0
        self.now_s = 0.0

    async def check(self) -> None:
        self.num_checks += 1
        await self.is_moving.wait()
        if self.error is not None:
            raise self.error

    def clock(self) -> float:
        return self.now_s


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def found(store: Store) -> Readiness:
    return Readiness(ScriptedRunner(), store.check, store.clock)


async def test_it_is_ready_while_the_model_answers_and_the_store_takes(found: Readiness) -> None:
    assert await found.condition() == "ready"
    assert await found.is_ready()


async def test_the_model_s_troubles_come_first(store: Store) -> None:
    found = Readiness(ScriptedRunner(card=None), store.check)
    assert await found.condition() == "loading"
    assert not await found.is_ready()
    assert store.num_checks == 0


@pytest.mark.parametrize("error", [StorageUnavailable("full"), ValueError("a fault of ours")])
async def test_a_store_that_refuses_is_unwritable_until_it_takes_again(
    store: Store, found: Readiness, error: Exception
) -> None:
    store.error = error
    assert await found.condition() == "unwritable"
    store.error = None
    assert await found.condition() == "unwritable"
    store.now_s += HOLDS_S
    assert await found.condition() == "ready"


async def test_probes_share_a_look_and_what_it_found(store: Store, found: Readiness) -> None:
    await asyncio.gather(*(found.is_ready() for _ in range(5)))
    await found.is_ready()
    assert store.num_checks == 1


async def test_a_store_that_hangs_is_unwritable_and_asked_once(
    store: Store, found: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.01)
    store.is_moving.clear()
    for _ in range(3):
        assert await found.condition() == "unwritable"
        store.now_s += HOLDS_S
    assert store.num_checks == 1
    store.is_moving.set()
    await asyncio.sleep(0)
    store.now_s += HOLDS_S
    assert await found.condition() == "ready"


async def test_a_probe_that_leaves_does_not_end_the_look_of_others(
    store: Store, found: Readiness
) -> None:
    store.is_moving.clear()
    impatient = asyncio.create_task(found.is_ready())
    patient = asyncio.create_task(found.is_ready())
    await asyncio.sleep(0)
    impatient.cancel()
    store.is_moving.set()
    assert await patient
