"""Runs decoding jobs in processes of their own; the service's side of ``media.fork_server``.

Pictures and videos have a server each, which is started when the first of them comes.

A decoder that crashes, hangs, burns its processor time or its memory is a refusal of that medium,
never trouble for the service. Belongs to one event loop. Cancelling ``run`` kills the decoder.
"""

import asyncio
import fcntl
import json
import logging
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

from contracts.errors import (
    DecodeLimit,
    MediaKind,
    ParseError,
    RunnerError,
    ServiceError,
    ShuttingDown,
)
from contracts.media import U8
from media.jobs import (
    Answer,
    ClipJob,
    DecoderFault,
    Job,
    Limits,
    PictureAnswer,
    Request,
    decode_answer,
    encode_request,
    num_bytes,
)

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
PICTURE_SERVER, CLIP_SERVER = "media.picture_server", "media.clip_server"
MAX_ANSWER_BYTES = 1 << 20
MAX_READ_BYTES = 1 << 20
END_WAIT_S = 5.0


class Decoder:
    """At most ``max_decoders`` jobs at a time, each in a process of its own."""

    def __init__(self, *, wall_s: float, memory_bytes: int, max_decoders: int) -> None:
        self._wall_s = wall_s
        self._limits = Limits(memory_bytes, math.ceil(wall_s))
        self._slots = asyncio.Semaphore(max_decoders)
        self._servers: dict[str, _ServerProcess] = {}
        self._is_closed = False

    def server_pid(self, module: str) -> int | None:
        """The process id of ``PICTURE_SERVER`` or ``CLIP_SERVER``, while there is one."""
        server = self._servers.get(module)
        return None if server is None else server.pid

    async def run(self, job: Job, medium: BinaryIO, kind: MediaKind) -> tuple[Answer, U8]:
        """Do one job.

        Args:
            job: What to do.
            medium: The file, open; its offset moves.
            kind: What errors call it.

        Returns:
            The answer, and its pixels: uint8, shape (F, H, W, 3), one for a picture.

        Raises:
            MediaError, EmptyTimeRange: The medium cannot be used.
            RunnerError: The fork server ended; a fault of ours.
        """
        async with self._slots:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pixels_fd = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            try:
                with theirs:
                    self._submit(
                        CLIP_SERVER if isinstance(job, ClipJob) else PICTURE_SERVER,
                        encode_request(Request(job, kind, self._limits)),
                        [theirs.fileno(), pixels_fd, medium.fileno()],
                    )
                ours.setblocking(False)
                answer = self._conclude(await self._wait(ours, kind), kind)
                return answer, _take_pixels(pixels_fd, answer)
            finally:
                ours.close()  # the server kills a decoder that nobody waits for any more
                os.close(pixels_fd)

    async def close(self) -> None:
        """End every decoder and the fork servers."""
        self._is_closed = True
        servers, self._servers = self._servers, {}
        for server in servers.values():
            await asyncio.to_thread(server.close)

    def _submit(self, module: str, request: bytes, fds: list[int]) -> None:
        if self._is_closed:
            raise ShuttingDown("the service is stopping")
        if module not in self._servers:
            self._servers[module] = _ServerProcess(module)
        try:
            self._servers[module].send(request, fds)
        except OSError:
            logger.error("the decoders' server had ended; it is started again")
            self._servers.pop(module).close()
            self._servers[module] = _ServerProcess(module)
            self._servers[module].send(request, fds)

    async def _wait(self, ours: socket.socket, kind: MediaKind) -> bytes:
        """The first message on a job's socket: the decoder's answer, or how it ended without."""
        try:
            async with asyncio.timeout(self._wall_s):
                first = await asyncio.get_running_loop().sock_recv(ours, MAX_ANSWER_BYTES)
        except TimeoutError:
            message = f"decoding took longer than {self._wall_s:g} s"
            raise DecodeLimit(message, kind=kind) from None
        if first:
            return first
        if self._is_closed:
            raise ShuttingDown("the service is stopping")
        raise RunnerError("the decoders' server ended while it worked on this; send it again")

    def _conclude(self, first: bytes, kind: MediaKind) -> Answer:
        if first.startswith(b'{"exit"'):
            raise _death(int(json.loads(first)["exit"]), self._limits, kind)
        try:
            return decode_answer(first, kind)
        except DecoderFault:
            logger.exception("a decoder failed unexpectedly")
            message = f"the {kind} is damaged: its decoder failed on it"
            raise ParseError(message, kind=kind) from None


def _death(exit_code: int, limits: Limits, kind: MediaKind) -> ServiceError:
    """What a decoder's end without an answer says about the medium."""
    if exit_code == -signal.SIGXCPU:
        message = f"decoding takes more than {limits.cpu_s} s of processor time"
        return DecodeLimit(message, kind=kind)
    if exit_code == -signal.SIGKILL:
        return DecodeLimit("the decoder was killed: it used too much of the machine", kind=kind)
    return ParseError(f"the {kind} is damaged: its decoder crashed on it", kind=kind)


def _take_pixels(pixels_fd: int, answer: Answer) -> U8:
    """The pixels that an answer says: read where they are few, else mapped.

    Few are read sooner than mapped, and keep no descriptor. Writing to either is possible.
    """
    count = 1 if isinstance(answer, PictureAnswer) else len(answer.times_s)
    size = num_bytes(answer.shape, count)
    if size > MAX_READ_BYTES:
        return _map_pixels(pixels_fd, size).reshape(count, *answer.shape)
    rgb = np.empty((count, *answer.shape), np.uint8)
    if not size or os.preadv(pixels_fd, [rgb.data], 0) != size:
        raise _too_few_pixels()
    return rgb


def _map_pixels(pixels_fd: int, size: int) -> U8:
    """Map pixels without copying them; nobody can shrink the file under the mapping.

    Writing to the array changes a private copy of the page.
    """
    fcntl.fcntl(pixels_fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    if size > os.fstat(pixels_fd).st_size:
        raise _too_few_pixels()
    return np.frombuffer(mmap.mmap(pixels_fd, size, access=mmap.ACCESS_COPY), np.uint8)


def _too_few_pixels() -> RunnerError:
    return RunnerError("a decoder sent fewer pixels than it said")


def _python_path() -> str:
    """Where this process imports from, so that the server finds the same packages."""
    return os.pathsep.join([str(ROOT), *map(os.path.abspath, filter(None, sys.path))])


class _ServerProcess:
    """A running fork server and the socket to it."""

    def __init__(self, module: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "media.start_server", module, str(fd)],
                pass_fds=(fd,),
                stdin=subprocess.DEVNULL,
                # Only what importing takes: a decoder has no use for the service's secrets.
                env={
                    "PYTHONPATH": _python_path(),
                    "PATH": os.defpath,
                    "OPENBLAS_NUM_THREADS": "1",  # it forks: no threads beside its own
                },
                cwd="/",
                start_new_session=True,  # Ctrl-C reaches the service, which closes us in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, request: bytes, fds: list[int]) -> None:
        socket.send_fds(self._control, [request], fds)

    def close(self) -> None:
        """Close the socket, which ends the server, and wait for it."""
        self._control.close()
        try:
            self._process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
