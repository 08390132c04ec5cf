"""Evidence is whole or not there, within its budget, and gone where it was once."""

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.errors import EvidenceGone, EvidenceNotFound, ServiceError, StorageUnavailable
from contracts.events import Event, Evidence, Score
from live.alerting.evidence import Budget, EvidenceStore
from tests.live.stage import at
from tests.live.store.records import an_event

ROOMY = Budget(1_000_000, 1_000_000)


def opened(folder: Path, budget: Budget = ROOMY) -> EvidenceStore:
    store = EvidenceStore(folder, budget)
    store.open()
    return store


def seen(**fields: object) -> Event:
    return an_event(0, score=Score(0.8, 0.9, 0.8), evidence=Evidence(**fields))  # type: ignore[arg-type]


def test_what_was_put_is_found_also_after_a_restart(tmp_path: Path) -> None:
    event = seen(has_frame=True, has_peak=True, clip="ready")
    store = opened(tmp_path / "evidence")
    store.put(event.id, "begin.jpg", b"begin", at(0))
    store.put(event.id, "peak.jpg", b"peak 1", at(1))
    store.put(event.id, "peak.jpg", b"peak 2", at(2))
    with store.writing(event.id, "clip.mp4", at(3)) as path:
        path.write_bytes(b"clip")
    again = opened(tmp_path / "evidence")
    for found in (store, again):
        assert found.frame(event, "begin").read_bytes() == b"begin"
        assert found.frame(event, "peak").read_bytes() == b"peak 2"
        assert found.clip(event).read_bytes() == b"clip"
        assert found.num_bytes == len(b"begin" + b"peak 2" + b"clip")


@pytest.mark.parametrize(
    ("evidence", "which", "error", "retry_after_s"),
    [
        (Evidence(), "begin", EvidenceNotFound, None),
        (Evidence(), "clip", EvidenceNotFound, None),
        (None, "begin", EvidenceNotFound, None),
        (None, "clip", EvidenceNotFound, None),
        (Evidence(has_frame=True), "peak", EvidenceNotFound, None),
        (Evidence(clip="pending"), "clip", EvidenceNotFound, 5),
        (Evidence(has_frame=True), "begin", EvidenceGone, None),
        (Evidence(has_frame=True, has_peak=True), "peak", EvidenceGone, None),
        (Evidence(clip="ready"), "clip", EvidenceGone, None),
    ],
)
def test_what_is_not_there_never_was_or_is_gone(
    tmp_path: Path,
    evidence: Evidence | None,
    which: str,
    error: type[ServiceError],
    retry_after_s: int | None,
) -> None:
    store, event = opened(tmp_path), replace(seen(), evidence=evidence)
    with pytest.raises(error) as caught:
        store.clip(event) if which == "clip" else store.frame(event, which)  # type: ignore[arg-type]
    assert caught.value.retry_after_s == retry_after_s


def test_the_peak_of_an_event_that_began_highest_is_its_begin(tmp_path: Path) -> None:
    store = opened(tmp_path)
    event = replace(seen(has_frame=True), score=Score(0.9, 0.9, 0.7))
    store.put(event.id, "begin.jpg", b"begin", at(0))
    assert store.frame(event, "peak").read_bytes() == b"begin"


def test_the_oldest_leave_when_the_bytes_are_spent(tmp_path: Path) -> None:
    store = opened(tmp_path, Budget(100, 1_000_000))
    events = [seen(has_frame=True) for _ in range(4)]
    for second, event in enumerate(events):
        store.put(event.id, "begin.jpg", bytes(40), at(second))
        assert store.num_bytes <= 100
    for event in events[:2]:
        with pytest.raises(EvidenceGone):
            store.frame(event, "begin")
    assert [len(store.frame(event, "begin").read_bytes()) for event in events[2:]] == [40, 40]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(e.id for e in events[2:])


def test_what_is_larger_than_the_budget_is_gone_at_once(tmp_path: Path) -> None:
    store, event = opened(tmp_path, Budget(10, 1_000_000)), seen(has_frame=True)
    store.put(event.id, "begin.jpg", bytes(11), at(0))
    assert store.num_bytes == 0
    with pytest.raises(EvidenceGone):
        store.frame(event, "begin")


def test_what_is_too_old_leaves_with_a_sweep_after_a_restart_too(tmp_path: Path) -> None:
    store, event = opened(tmp_path), seen(has_frame=True, clip="ready")
    store.put(event.id, "begin.jpg", b"begin", at(0))
    store.put(event.id, "clip.mp4", b"clip", at(60))
    again = opened(tmp_path, Budget(1000, 100))
    again.sweep(at(100))
    assert again.frame(event, "begin").exists()
    again.sweep(at(101))
    assert again.clip(event).exists()
    with pytest.raises(EvidenceGone):
        again.frame(event, "begin")


def test_an_event_can_be_removed_with_all_it_has(tmp_path: Path) -> None:
    store, event = opened(tmp_path), seen(has_frame=True)
    store.put(event.id, "begin.jpg", b"begin", at(0))
    store.put(event.id, "clip.mp4", b"clip", at(0))
    store.remove(event.id)
    store.remove("evt_none")
    assert store.num_bytes == 0
    assert not (tmp_path / event.id).exists()


def test_half_a_file_is_no_evidence(tmp_path: Path) -> None:
    store, event = opened(tmp_path), seen(has_frame=True)
    store.put(event.id, "begin.jpg", b"begin", at(0))

    def fail() -> None:
        with store.writing(event.id, "begin.jpg", at(1)) as path:
            path.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.writing(event.id, "clip.mp4", at(1)):
        pass  # no frame was in the span
    assert store.frame(event, "begin").read_bytes() == b"begin"
    assert [path.name for path in (tmp_path / event.id).iterdir()] == ["begin.jpg"]


def test_what_a_kill_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    store, event = opened(tmp_path), seen(has_frame=True)
    store.put(event.id, "begin.jpg", b"begin", at(0))
    (tmp_path / event.id / "clip.mp4.draft").write_bytes(b"half")
    (tmp_path / event.id / "peak.jpg").write_bytes(b"")
    assert opened(tmp_path).num_bytes == len(b"begin")
    assert [path.name for path in (tmp_path / event.id).iterdir()] == ["begin.jpg"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "evidence"
    blocked.write_bytes(b"a file")
    with pytest.raises(StorageUnavailable, match="VLM_DATA_DIR"):
        opened(blocked)
    store = opened(tmp_path / "other")
    (tmp_path / "other" / "evt_1").write_bytes(b"a file")
    with pytest.raises(StorageUnavailable, match="VLM_DATA_DIR"):
        store.put("evt_1", "begin.jpg", b"begin", at(0))
