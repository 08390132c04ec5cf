"""The last seconds of one live stream: one capture thread writes, many read.

The newest frames lie as pixels in preallocated slots, older ones as JPEG, all within a byte budget;
the oldest leaves first. Knows nothing of decoding, models or alerts: pixels are copied in once.
Thread-safe. ``append`` waits for no reader, and no reader for it; ``wait_newer`` waits at most
``timeout_s`` seconds.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.media import U8, Frame
from contracts.streams import BufferStatus
from live.jpeg import from_jpeg, to_jpeg
from live.streams.pixel_slots import PixelSlots

HOT_FRAMES = 12  # slots: 3 s at 4 frames a second, 33 MB at 720p
HOT_SHARE = 0.5  # of the budget, at most
MIN_SLOTS = 2  # one to be read, one to be written
ENTRY_BYTES = 512  # of a frame besides its pixels or its JPEG


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One frame in the buffer, wherever its picture lies.

    Attributes:
        sequence: Its number in the live stream.
        time_s: Within the live stream.
        captured_at: The moment in the world.
        shape: (H, W, 3).
        place: Slots, number of the slot and version; or its JPEG.
    """

    sequence: int
    time_s: float
    captured_at: datetime
    shape: tuple[int, ...]
    place: tuple[PixelSlots, int, int] | bytes

    @property
    def num_bytes(self) -> int:
        """What it takes beyond the slots."""
        return ENTRY_BYTES + (len(self.place) if isinstance(self.place, bytes) else 0)

    def read(self) -> Frame | None:
        """A copy of the frame; ``None`` if its slot was given to another one meanwhile."""
        if isinstance(self.place, bytes):
            rgb: U8 | None = from_jpeg(self.place)
        else:
            slots, slot, version = self.place
            rgb = slots.read(slot, version)
        if rgb is None:
            return None
        return Frame(rgb, self.time_s, self.captured_at, self.sequence)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """All frames at one moment, oldest first: JPEGs, then pixels. Numbers have no gap."""

    packed: tuple[Entry, ...] = ()
    hot: tuple[Entry, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Oldest first."""
        return self.packed + self.hot

    def find(self, sequence: int) -> Entry | None:
        """The frame of that number."""
        for part in (self.hot, self.packed):
            if part and part[0].sequence <= sequence <= part[-1].sequence:
                return part[sequence - part[0].sequence]
        return None


class RingBuffer:
    """Frames of at most ``seconds`` within ``max_bytes``, the slots included.

    What readers see is one immutable value, exchanged by the writer in one step, so that no reader
    sees a frame twice, out of order or half written.
    """

    def __init__(self, *, seconds: float, max_bytes: int, sequence: int = 0) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._held = Held()
        self._slots: PixelSlots | None = None
        self._packed_bytes = 0
        self._sequence = sequence  # of the frame before the first
        self._is_closed = False
        self._changed = threading.Condition()

    def append(self, rgb: U8, time_s: float, captured_at: datetime) -> int:
        """Copy a frame in; only ever from one thread.

        Args:
            rgb: uint8, shape (H, W, 3); still the caller's afterwards.
            time_s: Within the live stream, above the last one's.
            captured_at: The moment in the world.

        Returns:
            The frame's number.
        """
        slots = self._slots_for(rgb)
        slot = self._free_slot(slots)
        version = slots.write(slot, rgb)
        self._sequence += 1
        entry = Entry(self._sequence, time_s, captured_at, rgb.shape, (slots, slot, version))
        held = self._held
        self._held = Held(held.packed, (*held.hot, entry))
        self._wake()
        self._make_room(slots)
        return entry.sequence

    def close(self) -> None:
        """Let nobody wait any more: no frame will come."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def newest_sequence(self) -> int:
        """Number of the newest frame that ever was."""
        return self._sequence

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All frames as they are now, oldest first, not read yet."""
        return self._held.entries

    @property
    def status(self) -> BufferStatus:
        """How much it holds."""
        entries, slots = self._held.entries, self._slots
        num_bytes = (slots.num_bytes if slots else 0) + sum(one.num_bytes for one in entries)
        if not entries:
            return BufferStatus(num_bytes=num_bytes)
        return BufferStatus(entries[-1].time_s - entries[0].time_s, len(entries), num_bytes)

    def newest(self) -> Frame | None:
        """A copy of the newest frame; ``None`` if there is none."""
        while hot := self._held.hot:
            frame = self.read(hot[-1])
            if frame is not None:
                return frame
        return None

    def read(self, entry: Entry) -> Frame | None:
        """A copy of a frame, wherever it lies by now; ``None`` if it is gone."""
        frame = entry.read()
        if frame is not None:
            return frame
        moved = self._held.find(entry.sequence)  # packed before its slot was overwritten
        return moved.read() if moved is not None else None

    def read_all(self, entries: tuple[Entry, ...]) -> Iterator[Frame]:
        """Copies of frames, one at a time, without those that are gone."""
        for entry in entries:
            frame = self.read(entry)
            if frame is not None:
                yield frame

    def wait_newer(self, sequence: int, *, timeout_s: float) -> int:
        """Wait for a frame above ``sequence``; the number of the newest one, whichever it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._sequence > sequence or self._is_closed, timeout_s)
            return self._sequence

    def _slots_for(self, rgb: U8) -> PixelSlots:
        """The slots; new ones where pictures have changed their shape."""
        if self._slots is None or self._slots.shape != rgb.shape:
            for _ in self._held.hot:
                self._pack_oldest()
            share = int(self._max_bytes * HOT_SHARE / rgb.nbytes)
            self._slots = None  # before the new ones, so that both are never there
            self._slots = PixelSlots(max(MIN_SLOTS, min(HOT_FRAMES, share)), rgb.shape)
        return self._slots

    def _free_slot(self, slots: PixelSlots) -> int:
        """The one slot, at least, that no frame of now lies in."""
        taken = {one.place[1] for one in self._held.hot if not isinstance(one.place, bytes)}
        return next(slot for slot in range(len(slots)) if slot not in taken)

    def _make_room(self, slots: PixelSlots) -> None:
        """Free a slot for the next frame, and drop what is too old or too much."""
        self._drop_old()
        if len(self._held.hot) == len(slots):
            self._pack_oldest()
        while self._held.packed and slots.num_bytes + self._entry_bytes > self._max_bytes:
            self._drop_oldest()

    @property
    def _entry_bytes(self) -> int:
        return self._packed_bytes + ENTRY_BYTES * len(self._held.hot)

    def _pack_oldest(self) -> None:
        """Turn the oldest frame that lies as pixels into a JPEG."""
        held, entry = self._held, self._held.hot[0]
        assert not isinstance(entry.place, bytes)
        slots, slot, _ = entry.place
        packed = replace(entry, place=to_jpeg(slots.view(slot)))
        self._packed_bytes += packed.num_bytes
        self._held = Held((*held.packed, packed), held.hot[1:])

    def _drop_old(self) -> None:
        since_s = self._held.hot[-1].time_s - self._seconds
        while self._held.entries[0].time_s < since_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        held = self._held
        if held.packed:
            self._packed_bytes -= held.packed[0].num_bytes
            self._held = Held(held.packed[1:], held.hot)
        else:
            self._held = Held((), held.hot[1:])

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
