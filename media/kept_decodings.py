"""What decoders gave lately, for media that come again: by content, within a budget of bytes.

Belongs to one event loop. Media are known by the SHA-256 of all their bytes, so nobody gets pixels
of a file that they do not have.
"""

import asyncio
import hashlib
import os
from collections import OrderedDict
from typing import BinaryIO

import numpy as np

from contracts.errors import MediaKind
from contracts.media import U8
from media.decoder import Decoder
from media.jobs import Answer, Job
from media.small_work import SMALL_BYTES

READ_BYTES = 1 << 20
Key = tuple[bytes, Job]


class KeptDecodings:
    """A decoder that does no job twice while it remembers; what was used longest ago goes first.

    Args:
        decoder: Does what is new.
        max_bytes: Of all pixels that are kept; 0 keeps nothing.
    """

    def __init__(self, decoder: Decoder, max_bytes: int) -> None:
        self._decoder = decoder
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._kept: OrderedDict[Key, tuple[Answer, U8]] = OrderedDict()

    async def run(self, job: Job, medium: BinaryIO, kind: MediaKind) -> tuple[Answer, U8]:
        """Do one job, or remember it; see ``Decoder.run``. Pixels must not be written to."""
        if not self._max_bytes:
            return await self._decoder.run(job, medium, kind)
        key = (await _digest_of(medium), job)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        answer, rgb = await self._decoder.run(job, medium, kind)
        if rgb.nbytes > self._max_bytes:
            return answer, rgb
        own = _own(rgb) if rgb.flags.owndata else await asyncio.to_thread(_own, rgb)
        self._keep(key, answer, own)
        return answer, own

    async def close(self) -> None:
        """Forget everything, and end every decoder."""
        self._kept.clear()
        self._num_bytes = 0
        await self._decoder.close()

    def _keep(self, key: Key, answer: Answer, rgb: U8) -> None:
        if key in self._kept:  # somebody else sent the same meanwhile
            return
        while self._num_bytes + rgb.nbytes > self._max_bytes:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._num_bytes -= oldest.nbytes
        self._kept[key] = (answer, rgb)
        self._num_bytes += rgb.nbytes


async def _digest_of(medium: BinaryIO) -> bytes:
    descriptor = os.dup(medium.fileno())
    if os.fstat(descriptor).st_size <= SMALL_BYTES:
        return _digest(descriptor)
    # Shielded, because a thread that never began would never close its descriptor.
    return await asyncio.shield(asyncio.create_task(asyncio.to_thread(_digest, descriptor)))


def _digest(descriptor: int) -> bytes:
    """Of a whole file, wherever it is being read; the descriptor is closed."""
    try:
        content, offset = hashlib.sha256(), 0
        while read := os.pread(descriptor, READ_BYTES, offset):
            content.update(read)
            offset += len(read)
        return content.digest()
    finally:
        os.close(descriptor)


def _own(rgb: U8) -> U8:
    """Pixels in memory of ours: mapped ones take a descriptor each for as long as they are held."""
    own = rgb if rgb.flags.owndata else np.array(rgb)
    own.setflags(write=False)
    return own
