"""One picture source, encoded once for all who watch, and not at all when nobody does.

Belongs to one event loop; drawing and encoding run in a thread beside it, one picture at a time.
"""

import asyncio
import logging
import time
from contextlib import AbstractContextManager
from typing import Protocol

from contracts.media import U8
from live.rtsp_server.h264_encoder import AccessUnit, H264Encoder
from live.rtsp_server.rtp import rtp_time_of

SLIP_S = 1.0  # so far behind, pictures are left out

logger = logging.getLogger(__name__)


class PictureSource(Protocol):
    """What is shown to whoever watches."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of every picture, in pixels, both even."""
        ...

    @property
    def fps(self) -> float:
        """Pictures a second."""
        ...

    def watched(self) -> AbstractContextManager[None]:
        """Entered while somebody watches.

        Raises:
            LookupError: There are no pictures any more.
        """
        ...

    def picture(self) -> U8:
        """The picture of now: uint8, shape (H, W, 3). Called from a thread, while somebody watches.

        Raises:
            LookupError: There will be none any more.
        """
        ...


class Player(Protocol):
    """Somebody who watches."""

    def send(self, unit: AccessUnit) -> None:
        """Pass a coded picture on, or leave it out; does not wait."""
        ...

    def end(self) -> None:
        """There is nothing more to see."""
        ...


class Broadcast:
    """All players of one source."""

    def __init__(self, source: PictureSource) -> None:
        self.source = source
        self._players: set[Player] = set()
        self._wants_key = True
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._players)

    def add(self, player: Player) -> None:
        """Let a player watch, from a key frame that comes at once."""
        self._players.add(player)
        self._wants_key = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def discard(self, player: Player) -> None:
        """Forget a player."""
        self._players.discard(player)

    async def close(self) -> None:
        """End it for everybody."""
        for player in tuple(self._players):
            player.end()
        self._players.clear()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            await self._encode_while_watched()
        except LookupError:
            await self._give_up()
        except Exception:  # whoever watches must not wait for ever
            logger.exception("a picture could not be encoded, code=server_error")
            await self._give_up()
        finally:
            self._task = None

    async def _give_up(self) -> None:
        for player in tuple(self._players):
            player.end()
        self._players.clear()

    async def _encode_while_watched(self) -> None:
        with self.source.watched():
            await self._encode()

    async def _encode(self) -> None:
        source = self.source
        encoder = await asyncio.to_thread(H264Encoder, source.size_wh, source.fps)
        due_s = time.monotonic()
        while self._players:
            wants_key, self._wants_key = self._wants_key, False
            for unit in await asyncio.to_thread(_encode, encoder, source, wants_key=wants_key):
                for player in tuple(self._players):
                    player.send(unit)
            due_s = max(due_s + 1 / source.fps, time.monotonic() - SLIP_S)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))


def _encode(encoder: H264Encoder, source: PictureSource, *, wants_key: bool) -> list[AccessUnit]:
    rgb = source.picture()
    return encoder.encode(rgb, rtp_time_of(time.monotonic()), wants_key=wants_key)
