"""A small process that forks one short-lived decoder per medium.

Started as ``python -m media.fork_server FD``. It imports the decoders once, so a child is ready in
milliseconds, and none of the service: no model, no device, no threads, no secrets in its
environment. It never reads a stranger's byte itself.

Each request is one message on the control socket, with three descriptors: the job's own socket, a
memory file for the pixels, the medium. The child answers on the job's socket, the server adds how
the child ended. When the other end of a job's socket closes, its child is killed; when the control
socket closes, all are, and the server ends.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pickle
import resource
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from typing import NoReturn

import av.logging

from contracts.errors import DecodeLimit, ServiceError
from media.clips import read_clip
from media.images import read_frame_list, read_image
from media.jobs import (
    Answer,
    ClipJob,
    ImageJob,
    Job,
    Limits,
    PixelSink,
    Request,
    encode_answer,
    encode_error,
    encode_fault,
)

MAX_REQUEST_BYTES = 1 << 17
JOB_FD, PIXELS_FD, INPUT_FD = 3, 4, 5
FREE_FD = 6
MAX_OPEN_FILES = 64
NICENESS = 5
PR_SET_PDEATHSIG = 1


@dataclass(slots=True, eq=False)
class Child:
    """A running decoder."""

    pid: int
    pid_fd: int
    job_socket: socket.socket
    is_awaited: bool = True


class ForkServer:
    """The loop; single-threaded, so that forking is safe."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[Child] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the control socket closes."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._accept():
                        self._kill_all()
                        return
                elif isinstance(key.fileobj, socket.socket):
                    self._abandon(key.data)
                else:
                    self._reap(key.data)

    def _accept(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 3)
        if not message:
            return False
        job_fd, pixels_fd, input_fd = fds
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            end_with(server)
            become_decoder(message, (job_fd, pixels_fd, input_fd))
        os.close(pixels_fd)
        os.close(input_fd)
        child = Child(pid, os.pidfd_open(pid), socket.socket(fileno=job_fd))
        self._children.add(child)
        self._selector.register(child.job_socket, selectors.EVENT_READ, child)
        self._selector.register(child.pid_fd, selectors.EVENT_READ, child)
        return True

    def _abandon(self, child: Child) -> None:
        """Nobody waits for this one any more; it is reaped when it is dead."""
        if child not in self._children:
            return  # it ended in the same moment
        child.is_awaited = False
        self._selector.unregister(child.job_socket)
        signal.pidfd_send_signal(child.pid_fd, signal.SIGKILL)

    def _reap(self, child: Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._selector.unregister(child.pid_fd)
        os.close(child.pid_fd)
        self._children.discard(child)
        if child.is_awaited:
            self._selector.unregister(child.job_socket)
        ended = json.dumps({"exit": os.waitstatus_to_exitcode(status)})
        with contextlib.suppress(OSError):  # nobody waits
            child.job_socket.send(ended.encode())
        child.job_socket.close()

    def _kill_all(self) -> None:
        for child in self._children:
            signal.pidfd_send_signal(child.pid_fd, signal.SIGKILL)
            os.waitpid(child.pid, 0)


def become_decoder(message: bytes, fds: tuple[int, int, int]) -> NoReturn:
    """Turn a fresh child into a limited decoder, do the job, answer, and end.

    Everything that belongs to the server is closed first, and nothing of Python's own shutdown
    runs: the interpreter's state is the server's.
    """
    try:
        _keep_only(fds)
        request: Request = pickle.loads(message)  # from our own service
        limit_process(request.limits)
        os.write(JOB_FD, _answer(request))
    finally:
        os._exit(0)


def _keep_only(fds: tuple[int, int, int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, FREE_FD) for fd in fds]
    for target, fd in enumerate((null, null, null, *kept)):
        os.dup2(fd, target)
    os.closerange(INPUT_FD + 1, os.sysconf("SC_OPEN_MAX"))


def end_with(server: int) -> None:
    """Die when the server dies, also when it has died already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
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


def _answer(request: Request) -> bytes:
    sink = PixelSink(PIXELS_FD, request.limits.memory_bytes, request.kind)
    try:
        return encode_answer(_run(request.job, sink))
    except ServiceError as exc:
        return encode_error(exc)
    except MemoryError:
        megabytes = request.limits.memory_bytes >> 20
        message = f"decoding takes more memory than the {megabytes} MB it may"
        return encode_error(DecodeLimit(message, kind=request.kind))
    except Exception:  # noqa: BLE001  # the process's outermost level: the owner logs it
        return encode_fault(traceback.format_exc())


def _run(job: Job, sink: PixelSink) -> Answer:
    if isinstance(job, ImageJob):
        return read_image(job, INPUT_FD, sink)
    if isinstance(job, ClipJob):
        return read_clip(job, INPUT_FD, sink)
    return read_frame_list(job, INPUT_FD, sink)


def main() -> None:
    """Serve on the inherited socket; the terminal's Ctrl-C is the service's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    av.logging.set_level(av.logging.PANIC)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        ForkServer(control).run()


if __name__ == "__main__":
    main()
