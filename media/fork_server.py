"""A small process that forks one short-lived decoder per medium.

``media.picture_server`` and ``media.clip_server`` run it. It imports its decoders once, so a child
is ready in milliseconds, and none of the service: no model, no device, no threads, no secrets in
its environment. It never reads a stranger's byte itself.

A decoder is forked ahead, and waits; it gets one job and ends. Another is forked after a job, when
a processor is left and no job asks; jobs that find none have theirs forked when they come.

Each request is one message on the control socket, with three descriptors: the job's own socket, a
memory file for the pixels, the medium. The child answers on the job's socket, the server adds how
the child ended where somebody still listens. When the other end of a job's socket closes, its child
is killed; when the control socket closes, all are, and the server ends.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
from dataclasses import dataclass

from media.decoder_process import MAX_REQUEST_BYTES, Work, become_decoder

NUM_SPARES = 1
NUM_PROCESSORS = os.cpu_count() or 1
NUM_REHEARSALS = 16  # Python has specialised its bytecode by then: children change less of it


@dataclass(slots=True, eq=False)
class Child:
    """A decoder: a spare that waits at its ``intake``, or at work for a ``job_socket``."""

    pid: int
    pid_fd: int
    intake: socket.socket
    job_socket: socket.socket | None = None


class ForkServer:
    """The loop; single-threaded, so that forking is safe."""

    def __init__(self, control: socket.socket, work: Work) -> None:
        self._control = control
        self._work = work
        self._children: set[Child] = set()
        self._spares: list[Child] = []
        self._has_ended_job = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the control socket closes."""
        while True:
            events = self._selector.select(0 if self._is_short_of_spares() else None)
            if not events:
                self._fork_spare()
            for key, _ in events:
                if key.fileobj is self._control:
                    if not self._accept():
                        self._kill_all()
                        return
                elif isinstance(key.fileobj, socket.socket):
                    self._abandon(key.data)
                else:
                    self._reap(key.data)

    def _is_short_of_spares(self) -> bool:
        """After a job, while a processor is left; what died by itself is replaced then too."""
        num_at_work = len(self._children) - len(self._spares)
        is_short = len(self._spares) < NUM_SPARES
        return self._has_ended_job and is_short and num_at_work < NUM_PROCESSORS

    def _fork_spare(self) -> None:
        self._has_ended_job = False
        with contextlib.suppress(OSError):  # jobs that find no spare have theirs forked
            self._spares.append(self._fork(is_spare=True))
            self._has_ended_job = len(self._spares) < NUM_SPARES

    def _accept(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 3)
        if not message:
            return False
        child = self._hand_over(message, fds)
        child.job_socket = socket.socket(fileno=fds[0])
        for fd in fds[1:]:
            os.close(fd)
        self._selector.register(child.job_socket, selectors.EVENT_READ, child)
        return True

    def _hand_over(self, message: bytes, fds: list[int]) -> Child:
        """Give a job to a spare that is alive, else to a new child."""
        while self._spares:
            spare = self._spares.pop()
            with contextlib.suppress(OSError), spare.intake:
                socket.send_fds(spare.intake, [message], fds)
                return spare
        child = self._fork(is_spare=False)
        with contextlib.suppress(OSError), child.intake:  # reaping says what killed it
            socket.send_fds(child.intake, [message], fds)
        return child

    def _fork(self, *, is_spare: bool) -> Child:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            server = os.getpid()
            pid = os.fork()
            if pid == 0:
                become_decoder(server, theirs, self._work, is_spare=is_spare)
        child = Child(pid, os.pidfd_open(pid), ours)
        self._children.add(child)
        self._selector.register(child.pid_fd, selectors.EVENT_READ, child)
        return child

    def _abandon(self, child: Child) -> None:
        """Nobody listens any more: it has answered, or must not; it is reaped when it is dead."""
        if child not in self._children or child.job_socket is None:
            return  # it ended in the same moment
        self._selector.unregister(child.job_socket)
        child.job_socket.close()
        child.job_socket = None
        signal.pidfd_send_signal(child.pid_fd, signal.SIGKILL)

    def _reap(self, child: Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._selector.unregister(child.pid_fd)
        os.close(child.pid_fd)
        self._children.discard(child)
        if child in self._spares:
            self._spares.remove(child)
            child.intake.close()
            return
        self._has_ended_job = True
        if child.job_socket is not None:
            self._selector.unregister(child.job_socket)
            ended = json.dumps({"exit": os.waitstatus_to_exitcode(status)})
            with contextlib.suppress(OSError), child.job_socket:  # nobody waits
                child.job_socket.send(ended.encode())

    def _kill_all(self) -> None:
        for child in self._children:
            signal.pidfd_send_signal(child.pid_fd, signal.SIGKILL)
            os.waitpid(child.pid, 0)


def serve(control_fd: int, work: Work) -> None:
    """Serve on an inherited socket; the terminal's Ctrl-C is the service's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for _ in range(NUM_REHEARSALS):
        work.rehearse()
    gc.collect()
    gc.freeze()  # a child's collector leaves alone what the server made, so it is not copied
    with socket.socket(fileno=control_fd) as control:
        ForkServer(control, work).run()
