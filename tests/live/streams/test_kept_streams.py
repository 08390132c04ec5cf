"""Streams that are stored: what is told is kept, and what is refused never was."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contracts.errors import (
    ServiceError,
    StorageUnavailable,
    StreamConnectFailed,
    StreamExists,
    StreamNotFound,
    StreamUrlNotAllowed,
)
from contracts.streams import StreamConfig
from live.streams.kept_streams import KeptStreams, MemoryStreamStore
from tests.live.hand_cameras import Stage, stage, url_of
from tests.live.registries import NOW

FORBIDDEN = "file:///etc/passwd"


def config(stream_id: str, url: str | None = None) -> StreamConfig:
    return StreamConfig(stream_id, url or url_of(stream_id), NOW)


@pytest.fixture
def empty() -> Iterator[Stage]:
    with stage() as made:
        yield made


class FullStore(MemoryStreamStore):
    """A store without room."""

    async def put_stream(self, config: StreamConfig) -> None:
        raise StorageUnavailable("no room")

    async def remove_stream(self, stream_id: str) -> None:
        raise StorageUnavailable("no room")


async def test_what_is_added_changed_and_removed_is_stored(empty: Stage) -> None:
    store = MemoryStreamStore()
    kept = KeptStreams(empty.streams, store)
    await kept.add(config("door"))
    await kept.add(config("yard"))
    assert list(store.configs) == ["door", "yard"]
    status = await kept.change("door", lambda before: replace(before, name="Front door"))
    assert status.config.name == store.configs["door"].name == "Front door"
    assert store.configs["door"].url == url_of("door")
    await kept.remove("door")
    assert list(store.configs) == ["yard"]
    assert [status.config.id for status in empty.streams.statuses()] == ["yard"]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (config("door", "rtsp://host/new"), StreamExists),
        (config("other", url_of("door")), StreamExists),
        (config("other", FORBIDDEN), StreamUrlNotAllowed),
    ],
)
async def test_what_the_capture_refuses_is_not_stored(
    empty: Stage, refused: StreamConfig, error: type[ServiceError]
) -> None:
    store = MemoryStreamStore()
    kept = KeptStreams(empty.streams, store)
    await kept.add(config("door"))
    with pytest.raises(error):
        await kept.add(refused)
    assert store.configs == {"door": config("door")}
    with pytest.raises(StreamUrlNotAllowed):
        await kept.change("door", lambda before: replace(before, url=FORBIDDEN))
    assert store.configs == {"door": config("door")}
    with pytest.raises(StreamNotFound):
        await kept.remove("other")


async def test_what_cannot_be_stored_did_not_happen(empty: Stage) -> None:
    empty.add("door")
    kept = KeptStreams(empty.streams, FullStore())
    with pytest.raises(StorageUnavailable):
        await kept.add(config("yard"))
    with pytest.raises(StorageUnavailable):
        await kept.change("door", lambda before: replace(before, name="Front door"))
    with pytest.raises(StorageUnavailable):
        await kept.remove("door")
    (status,) = empty.streams.statuses()
    assert (status.config.id, status.config.name) == ("door", "door")


async def test_changes_of_one_stream_follow_each_other(empty: Stage) -> None:
    empty.add("door")
    store = MemoryStreamStore()
    kept = KeptStreams(empty.streams, store)
    await asyncio.gather(
        kept.change("door", lambda before: replace(before, name="Front door")),
        kept.change("door", lambda before: replace(before, description="To the street")),
    )
    assert (store.configs["door"].name, store.configs["door"].description) == (
        "Front door",
        "To the street",
    )


async def test_a_start_goes_on_with_what_was_stored(
    empty: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptStreams(empty.streams, MemoryStreamStore())
    await kept.resume([config("a"), config("b", FORBIDDEN), config("c", "nonsense")])
    assert [status.config.id for status in empty.streams.statuses()] == ["a", "b"]
    assert "stream c is not resumed: expected an rtsp" in caplog.text
    await kept.change("b", lambda before: replace(before, name="Back door"))
    await kept.remove("b")
    assert [status.config.id for status in empty.streams.statuses()] == ["a"]


async def test_what_does_not_pass_was_never_stored(empty: Stage) -> None:
    store = MemoryStreamStore()
    kept = KeptStreams(empty.streams, store)

    async def refuse() -> None:
        assert empty.streams.status("door").config.id == "door"
        assert store.configs == {}
        raise StreamConnectFailed("it wants a password")

    with pytest.raises(StreamConnectFailed):
        await kept.add(config("door"), refuse)
    assert (empty.streams.statuses(), store.configs) == ([], {})


async def test_what_is_changed_or_removed_while_it_is_vetted_is_so(empty: Stage) -> None:
    store = MemoryStreamStore()
    kept = KeptStreams(empty.streams, store)

    async def rename() -> None:
        await kept.change("door", lambda before: replace(before, name="Front door"))

    async def remove() -> None:
        await kept.remove("yard")

    await kept.add(config("door"), rename)
    assert store.configs["door"].name == "Front door"
    with pytest.raises(StreamNotFound):
        await kept.add(config("yard"), remove)
    assert list(store.configs) == ["door"]
