"""The ring buffer: order, whole frames, bounds, and readers that wait for nobody."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.media import U8, Frame
from live.streams.ring_buffer import HOT_FRAMES, RingBuffer

EPOCH = datetime(2026, 11, 20, 17, 17, tzinfo=UTC)
MB = 1_000_000


def grey(value: int, height: int = 32, width: int = 48) -> U8:
    return np.full((height, width, 3), value, np.uint8)


def noise(height: int, width: int) -> U8:
    rng = np.random.default_rng(7)
    coarse = rng.integers(40, 200, (height // 8 + 1, width // 8 + 1, 3))
    smooth = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    grain = rng.normal(0, 4, smooth.shape)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def filled(num_frames: int, *, step_s: float = 0.25, **limits: float) -> RingBuffer:
    ring = RingBuffer(
        seconds=limits.get("seconds", 60), max_bytes=int(limits.get("max_bytes", 16 * MB))
    )
    for index in range(num_frames):
        time_s = index * step_s
        ring.append(grey(index % 200), time_s, EPOCH + timedelta(seconds=time_s))
    return ring


def test_an_empty_buffer_has_no_frame() -> None:
    ring = filled(0)
    assert ring.newest() is None
    assert ring.entries == ()
    assert (ring.status.num_frames, ring.status.num_bytes, ring.newest_sequence) == (0, 0, 0)


def test_a_frame_comes_back_as_it_was_put_in() -> None:
    ring = RingBuffer(seconds=60, max_bytes=16 * MB)
    picture = noise(40, 56)
    assert ring.append(picture, 1.5, EPOCH) == 1
    frame = ring.newest()
    assert frame is not None
    assert np.array_equal(frame.rgb, picture)
    assert (frame.time_s, frame.captured_at, frame.sequence) == (1.5, EPOCH, 1)


def test_what_a_reader_does_with_its_copy_changes_nothing() -> None:
    ring = filled(1)
    frame = ring.newest()
    assert frame is not None
    frame.rgb[:] = 255
    again = ring.newest()
    assert again is not None
    assert again.rgb.max() == 0


def test_frames_are_in_order_across_pixels_and_jpegs() -> None:
    ring = filled(3 * HOT_FRAMES)
    frames = list(ring.read_all(ring.entries))
    assert [frame.sequence for frame in frames] == list(range(1, 3 * HOT_FRAMES + 1))
    assert [frame.time_s for frame in frames] == [i * 0.25 for i in range(3 * HOT_FRAMES)]
    values = [int(frame.rgb.mean() + 0.5) for frame in frames]
    assert values == list(range(3 * HOT_FRAMES))


def test_what_is_older_than_the_look_back_leaves() -> None:
    ring = filled(100, seconds=10)
    assert ring.status.seconds == 10
    assert ring.status.num_frames == 41


def test_after_an_hour_without_frames_the_old_ones_leave_with_the_first_new_one() -> None:
    ring = filled(5)
    ring.append(grey(9), 3600, EPOCH)
    assert [entry.sequence for entry in ring.entries] == [6]


def test_the_oldest_frame_leaves_when_the_budget_is_spent() -> None:
    ring = RingBuffer(seconds=1e9, max_bytes=2 * MB)
    picture = noise(120, 160)
    for index in range(400):
        ring.append(picture, float(index), EPOCH)
        assert ring.status.num_bytes <= 2 * MB
    sequences = [entry.sequence for entry in ring.entries]
    assert sequences == list(range(401 - len(sequences), 401))
    assert 20 < len(sequences) < 400


def test_a_minute_of_720p_at_4_fps_fits_into_80_mb() -> None:
    ring = RingBuffer(seconds=60, max_bytes=80 * MB)
    picture = noise(720, 1280)
    for index in range(250):
        ring.append(picture, index * 0.25, EPOCH)
    assert ring.status.num_bytes <= 80 * MB
    assert (ring.status.seconds, ring.status.num_frames) == (60, 241)


def test_pictures_may_change_their_shape() -> None:
    ring = filled(20)
    ring.append(grey(50, 64, 80), 10.0, EPOCH)
    ring.append(grey(51, 16, 24), 11.0, EPOCH)
    frames = list(ring.read_all(ring.entries[-3:]))
    assert [frame.rgb.shape for frame in frames] == [(32, 48, 3), (64, 80, 3), (16, 24, 3)]
    assert [int(frame.rgb.mean() + 0.5) for frame in frames] == [19, 50, 51]


def test_an_entry_is_found_again_after_its_slot_was_given_away() -> None:
    ring = filled(1)
    (entry,) = ring.entries
    for index in range(2 * HOT_FRAMES):
        ring.append(grey(100), 1.0 + index, EPOCH)
    assert entry.read() is None
    frame = ring.read(entry)
    assert frame is not None
    assert (frame.sequence, frame.rgb.max()) == (1, 0)


def test_an_entry_that_has_left_is_gone() -> None:
    ring = filled(1, seconds=5)
    entries = ring.entries
    for index in range(2 * HOT_FRAMES):
        ring.append(grey(100), 10.0 + index, EPOCH)
    assert ring.read(entries[0]) is None
    assert list(ring.read_all(entries)) == []


def test_numbers_may_go_on_from_another_buffer() -> None:
    ring = RingBuffer(seconds=60, max_bytes=16 * MB, sequence=3)
    assert ring.newest_sequence == 3
    assert ring.append(grey(1), 9.0, EPOCH) == 4
    assert [entry.sequence for entry in ring.entries] == [4]


def test_nobody_waits_at_a_closed_buffer() -> None:
    ring = filled(3)
    ring.close()
    assert ring.wait_newer(99, timeout_s=60) == 3


def test_waiting_for_what_is_there_does_not_wait() -> None:
    ring = filled(3)
    assert ring.wait_newer(2, timeout_s=60) == 3
    assert ring.wait_newer(3, timeout_s=0) == 3


def test_a_waiter_wakes_with_the_frame() -> None:
    ring = filled(0)
    seen: list[int] = []
    waiter = threading.Thread(target=lambda: seen.append(ring.wait_newer(0, timeout_s=60)))
    waiter.start()
    ring.append(grey(1), 0.0, EPOCH)
    waiter.join(60)
    assert not waiter.is_alive()
    assert seen == [1]


class Reader(threading.Thread):
    """Reads until it is told to stop, and remembers what was wrong."""

    def __init__(self, ring: RingBuffer) -> None:
        super().__init__()
        self.num_reads = 0
        self.wrong: list[str] = []
        self.stop = threading.Event()
        self._ring = ring

    def run(self) -> None:
        last = 0
        while not self.stop.is_set():
            for frame in self._ring.read_all(self._ring.entries[-3:]):
                self._check(frame)
            newest = self._ring.newest()
            if newest is not None:
                sequence = self._check(newest)
                if sequence < last:
                    self.wrong.append(f"{sequence} after {last}")
                last = sequence
            self.num_reads += 1

    def _check(self, frame: Frame) -> int:
        assert frame.sequence is not None
        value = frame.sequence % 200
        if frame.rgb.min() < value - 2 or frame.rgb.max() > value + 2:  # what a JPEG may do to it
            self.wrong.append(f"{frame.sequence}: {np.unique(frame.rgb)}")
        return frame.sequence


@pytest.mark.parametrize("num_readers", [1, 3])
def test_no_reader_sees_a_torn_or_reordered_frame(num_readers: int) -> None:
    ring = RingBuffer(seconds=1e9, max_bytes=5 * MB)
    readers = [Reader(ring) for _ in range(num_readers)]
    for reader in readers:
        reader.start()
    sequence = 0
    while sequence < 300 or min(reader.num_reads for reader in readers) < 50:
        sequence = ring.append(grey((sequence + 1) % 200, 360, 640), float(sequence), EPOCH)
    for reader in readers:
        reader.stop.set()
        reader.join(60)
        assert not reader.is_alive()
    assert [reader.wrong for reader in readers] == [[]] * num_readers
