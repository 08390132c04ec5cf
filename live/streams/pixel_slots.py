"""Pixels of the newest frames, in memory that is taken once.

One thread writes, many read, and none waits for another: each slot has a version that is odd while
it is written, and a reader that finds another version after its copy than before throws the copy
away. Knows nothing of time, of order, or of which frame lies where.
"""

import numpy as np

from contracts.media import U8


class PixelSlots:
    """``num_slots`` pictures of one shape.

    The versions are exchanged under the interpreter's lock, which orders them with the copies.
    """

    def __init__(self, num_slots: int, shape: tuple[int, ...]) -> None:
        self._pixels = np.empty((num_slots, *shape), np.uint8)
        self._pixels[:] = 0  # take the pages now, not at the first frames
        self._versions = [0] * num_slots

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each picture: (H, W, 3)."""
        return self._pixels.shape[1:]

    @property
    def num_bytes(self) -> int:
        """What they take, whether or not they are in use."""
        return self._pixels.nbytes

    def write(self, slot: int, rgb: U8) -> int:
        """Put a picture into a slot; only ever from one thread.

        Returns:
            The version to read it by.
        """
        self._versions[slot] += 1
        np.copyto(self._pixels[slot], rgb)
        self._versions[slot] += 1
        return self._versions[slot]

    def read(self, slot: int, version: int) -> U8 | None:
        """A copy of the picture that was written as this version; ``None`` if it is overwritten."""
        if self._versions[slot] != version:
            return None
        rgb = self.view(slot).copy()
        return rgb if self._versions[slot] == version else None

    def view(self, slot: int) -> U8:
        """The picture in a slot as it lies there, for the thread that writes."""
        picture: U8 = self._pixels[slot]
        return picture
