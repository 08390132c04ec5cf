"""``/v1/streams/preview``: the pictures of many live streams over one WebSocket.

A client says at any time which streams it wants to see, and how; each binary message is one JPEG
after a length of 4 bytes, big-endian, and so many bytes of JSON that say what it is.
"""

import asyncio
import json
import struct
from contextlib import suppress

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.client import while_serving, within
from api.deps import GetDeps, ServiceDeps
from api.json_text import parse_json
from api.problems import request_error
from api.stream_schemas import Tile, TilesMessage
from contracts.errors import RequestError, ShuttingDown, StreamNotFound
from contracts.moments import rfc3339_or_none
from contracts.previews import PreviewPicture, View

PATH = "/v1/streams/preview"
RESTART, POLICY = 1012, 1008  # why the service closes: it stops; the client sent what is no wish
MAX_REASON_BYTES = 123
ABSENT_S = 1.0  # after which a wanted stream that is not there is looked for again


def preview_routes(deps: GetDeps) -> APIRouter:
    """The WebSocket."""
    router = APIRouter()

    @router.websocket(PATH)
    async def watch_streams(websocket: WebSocket) -> None:
        now = deps()
        with now.previews.seat():
            await websocket.accept()
            try:
                with suppress(WebSocketDisconnect):
                    await PreviewSocket(websocket, now).serve()
            except* ClientDisconnect:
                pass  # it takes nothing any more: its place is another's

    return router


class PreviewSocket:
    """One open WebSocket: a task for each stream that the client wants to see.

    They send one at a time, and each takes its picture when its turn has come, so a client that
    reads slowly gets fewer pictures, and never old ones.
    """

    def __init__(self, websocket: WebSocket, deps: ServiceDeps) -> None:
        self._websocket = websocket
        self._deps = deps
        self._tiles: dict[str, tuple[Tile, asyncio.Task[None]]] = {}
        self._turn = asyncio.Lock()

    async def serve(self) -> None:
        """Send pictures until the client leaves or the service stops."""
        try:
            async with while_serving(self._deps.stopping), asyncio.TaskGroup() as tasks:
                try:
                    await self._follow(tasks)
                finally:
                    self._show({}, tasks)
        except ShuttingDown:
            await self._close(RESTART, "the service is stopping")

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        """Do what the client says, until it leaves or says what cannot be done."""
        while (message := await self._websocket.receive())["type"] != "websocket.disconnect":
            try:
                self._show(read_tiles(message.get("text") or ""), tasks)
            except RequestError as exc:
                await self._close(POLICY, exc.message)
                return

    def _show(self, wanted: dict[str, Tile], tasks: asyncio.TaskGroup) -> None:
        """Show these streams and no others; one that is shown that way already goes on."""
        for stream_id, (tile, task) in list(self._tiles.items()):
            if wanted.get(stream_id) != tile:
                task.cancel()
                del self._tiles[stream_id]
        for stream_id in wanted.keys() - self._tiles.keys():
            tile = wanted[stream_id]
            self._tiles[stream_id] = tile, tasks.create_task(self._send_all(stream_id, tile))

    async def _send_all(self, stream_id: str, tile: Tile) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                with suppress(StreamNotFound):
                    await self._send_while_there(stream_id, tile)
                await asyncio.sleep(ABSENT_S)

    async def _send_while_there(self, stream_id: str, tile: Tile) -> None:
        view = View(tile.max_side or 640, bool(tile.overlay))
        async with self._deps.previews.watch(stream_id, view, fps=tile.fps or 5) as viewer:
            while True:
                await viewer.next_due()
                async with self._turn:
                    message = message_of(stream_id, await viewer.picture())
                    async with within(self._deps.patience_s):
                        await self._websocket.send_bytes(message)

    async def _close(self, code: int, reason: str) -> None:
        short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        with suppress(RuntimeError, WebSocketDisconnect):  # the server has closed it itself
            await self._websocket.close(code, short)


def read_tiles(text: str) -> dict[str, Tile]:
    """What a client wants to see.

    Raises:
        RequestError: It is not JSON, or not such a wish.
    """
    try:
        return TilesMessage.model_validate(parse_json(text)).streams
    except ValidationError as exc:
        raise request_error(exc) from exc


def message_of(stream_id: str, picture: PreviewPicture) -> bytes:
    """A picture as a message."""
    about = {
        "stream_id": stream_id,
        "captured_at": rfc3339_or_none(picture.captured_at),
        "state": picture.state,
    }
    head = json.dumps(about).encode()
    return struct.pack(">I", len(head)) + head + picture.jpeg
