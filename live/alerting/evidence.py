"""Pictures and clips of events, as files within a budget of bytes and age.

``<folder>/<event id>/<name>``. A file is whole or not there: it is written beside and renamed. The
oldest go first. What an event once had and has no more is gone; that is the event's knowledge, not
the file system's. Thread-safe; everything here blocks.
"""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from contracts.errors import EvidenceGone, EvidenceNotFound, StorageUnavailable
from contracts.events import Event

EvidenceName = Literal["begin.jpg", "peak.jpg", "clip.mp4"]
NAMES: tuple[EvidenceName, ...] = get_args(EvidenceName)
DRAFT = ".draft"
PRIVATE_FOLDER = 0o700
CLIP_RETRY_S = 5
NOT_WRITABLE = "evidence cannot be written: expected VLM_DATA_DIR to be writable, with room"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is kept: bytes in all, and seconds of age."""

    max_bytes: int
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A file's size and age."""

    num_bytes: int
    written_at: float


class EvidenceStore:
    """All evidence files of one data directory; never more bytes than the budget, once swept."""

    def __init__(self, folder: Path, budget: Budget) -> None:
        self._folder = folder
        self._budget = budget
        self._lock = threading.Lock()
        self._kept: dict[Path, Kept] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes kept now."""
        with self._lock:
            return sum(kept.num_bytes for kept in self._kept.values())

    def open(self) -> None:
        """Find what is there; what a kill or a power cut left half written is removed.

        Raises:
            StorageUnavailable: The folder cannot be used.
        """
        with _writable():
            self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            for path in self._folder.glob("*/*"):
                stat = path.stat()
                if path.name in NAMES and stat.st_size > 0:
                    self._kept[path] = Kept(stat.st_size, stat.st_mtime)
                else:
                    path.unlink()

    @contextlib.contextmanager
    def writing(self, event_id: str, name: EvidenceName, now: datetime) -> Iterator[Path]:
        """Write a file at the path this gives; afterwards it is the event's evidence.

        A block that raises, or that writes nothing, leaves what was there before.

        Raises:
            StorageUnavailable: It could not be written.
        """
        path = self._folder / event_id / name
        draft = path.with_name(f"{name}{DRAFT}")
        with _writable():
            with self._lock:  # a sweep removes folders that are empty
                path.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
                draft.touch()
            try:
                yield draft
                if draft.exists() and draft.stat().st_size > 0:
                    self._take(draft, path, now)
            finally:
                draft.unlink(missing_ok=True)

    def put(self, event_id: str, name: EvidenceName, content: bytes, now: datetime) -> None:
        """Keep a file's content; of two with one name the later.

        Raises:
            StorageUnavailable: It could not be written.
        """
        with self.writing(event_id, name, now) as path:
            path.write_bytes(content)

    def frame(self, event: Event, which: Literal["begin", "peak"]) -> Path:
        """The picture of the look that began an event, or of its highest score.

        Raises:
            EvidenceNotFound, EvidenceGone: There never was one; it was removed.
        """
        kept, score = event.evidence, event.score
        if kept is None or score is None or not kept.has_frame:
            raise EvidenceNotFound(f"an event of type {event.type} without a picture")
        if which == "begin" or score.peak == score.begin:
            return self._existing(event, "begin.jpg")
        if not kept.has_peak:
            raise EvidenceNotFound("the event has no picture of its peak: ask for which=begin")
        return self._existing(event, "peak.jpg")

    def clip(self, event: Event) -> Path:
        """The clip around the begin of an event.

        Raises:
            EvidenceNotFound: There is none, or not yet; then it says when to ask again.
            EvidenceGone: It was removed.
        """
        state = "none" if event.evidence is None else event.evidence.clip
        if state == "pending":
            message = "the clip is not ready yet: ask again shortly"
            raise EvidenceNotFound(message, retry_after_s=CLIP_RETRY_S)
        if state == "none":
            raise EvidenceNotFound("the event has no clip")
        return self._existing(event, "clip.mp4")

    def remove(self, event_id: str) -> None:
        """Remove all evidence of an event."""
        folder = self._folder / event_id
        with self._lock:
            for name in NAMES:
                self._kept.pop(folder / name, None)
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, now: datetime) -> None:
        """Remove what is over the budget, oldest first."""
        with self._lock:
            left = sum(kept.num_bytes for kept in self._kept.values())
            oldest_first = sorted(self._kept, key=lambda path: self._kept[path].written_at)
            for path in oldest_first:
                kept = self._kept[path]
                is_old = now.timestamp() - kept.written_at > self._budget.max_age_s
                if left <= self._budget.max_bytes and not is_old:
                    break
                left -= kept.num_bytes
                del self._kept[path]
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # the event has other evidence
                    path.parent.rmdir()

    def _take(self, draft: Path, path: Path, now: datetime) -> None:
        written_at = now.timestamp()
        os.utime(draft, (written_at, written_at))
        with self._lock:
            num_bytes = draft.stat().st_size
            draft.replace(path)
            self._kept[path] = Kept(num_bytes, written_at)
        self.sweep(now)

    def _existing(self, event: Event, name: EvidenceName) -> Path:
        path = self._folder / event.id / name
        if not path.exists():
            raise EvidenceGone(
                "removed: evidence is kept within VLM_EVIDENCE_MAX_MB and for a time"
            )
        return path


@contextlib.contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise StorageUnavailable(NOT_WRITABLE) from None
