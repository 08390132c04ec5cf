"""What a fork server's child does: forget the server, wait for one job, do it, answer, end.

Between fork and job a spare does a job of our own, so that the next one finds its memory touched
already. It holds no descriptor but its intake until the job comes.
"""

import ctypes
import os
import resource
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from contracts.errors import DecodeLimit, ServiceError
from media.jobs import (
    Answer,
    Job,
    Limits,
    PixelSink,
    Request,
    decode_request,
    encode_answer,
    encode_error,
    encode_fault,
)

MAX_REQUEST_BYTES = 1 << 17
FREE_FD = 3
MAX_OPEN_FILES = 64
NICENESS = 5
PR_SET_PDEATHSIG = 1
REHEARSAL_LIMITS = Limits(memory_bytes=1 << 20, cpu_s=1)

_prctl = ctypes.CDLL(None).prctl


@dataclass(frozen=True, slots=True)
class Work:
    """What one family of decoders does.

    Attributes:
        run: Does a job on the medium behind a descriptor.
        rehearsal: An encoded request, and a small medium of our own for it.
    """

    run: Callable[[Job, int, PixelSink], Answer]
    rehearsal: tuple[bytes, bytes]

    def rehearse(self) -> bytes:
        """Do the rehearsal as if it had been asked, and answer."""
        message, encoded = self.rehearsal
        pixels_fd, input_fd = os.memfd_create("rehearsal"), os.memfd_create("rehearsed")
        try:
            os.write(input_fd, encoded)
            return self.answer(decode_request(message), pixels_fd, input_fd)
        finally:
            os.close(pixels_fd)
            os.close(input_fd)

    def answer(self, request: Request, pixels_fd: int, input_fd: int) -> bytes:
        """Do what is asked; pixels go to their descriptor, everything else is in the answer."""
        sink = PixelSink(pixels_fd, request.limits.memory_bytes, request.kind)
        try:
            return encode_answer(self.run(request.job, input_fd, sink))
        except ServiceError as exc:
            return encode_error(exc)
        except MemoryError:
            megabytes = request.limits.memory_bytes >> 20
            message = f"decoding takes more memory than the {megabytes} MB it may"
            return encode_error(DecodeLimit(message, kind=request.kind))
        except Exception:  # noqa: BLE001  # the process's outermost level: the owner logs it
            return encode_fault(traceback.format_exc())


def become_decoder(server: int, intake: socket.socket, work: Work, *, is_spare: bool) -> NoReturn:
    """Turn a fresh child into a limited decoder, do the job that comes, answer, and end.

    Everything that belongs to the server is closed first, and nothing of Python's own shutdown
    runs: the interpreter's state is the server's.

    Args:
        server: The process that must live as long as this one.
        intake: The socket that the job comes by.
        work: What it does.
        is_spare: Whether there is time before the job.
    """
    try:
        end_with(server)
        _keep_only(intake)
        if is_spare:
            work.rehearse()
        _do_job(intake, work)
    finally:
        os._exit(0)


def end_with(server: int) -> None:
    """Die when the server dies, also when it has died already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)


def limit_process(limits: Limits) -> None:
    """Lower what this process may use; there is no way back up from the hard limits."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


def _keep_only(intake: socket.socket) -> None:
    kept = intake.fileno()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(FREE_FD):
        os.dup2(null, standard)
    last = max(map(int, os.listdir("/proc/self/fd")))  # the limit may be a thousand million
    os.closerange(FREE_FD, kept)
    os.closerange(kept + 1, last + 1)


def _do_job(intake: socket.socket, work: Work) -> None:
    with intake:
        message, fds, _, _ = socket.recv_fds(intake, MAX_REQUEST_BYTES, 3)
    if not message:
        return  # the server ends
    request = decode_request(message)
    job_fd, pixels_fd, input_fd = fds
    try:
        limit_process(request.limits)
    except (OSError, ValueError):  # where the service itself may use less
        os.write(job_fd, encode_fault(traceback.format_exc()))
        return
    os.write(job_fd, work.answer(request, pixels_fd, input_fd))
