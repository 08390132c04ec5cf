"""The jobs that were not begun yet: a bounded queue that says how long it will take.

Thread-safe: anybody adds, the device thread takes.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from contracts.errors import QueueFull, ShuttingDown
from contracts.work_class import WorkClass
from runners.jobs import AnyJob
from runners.pace import DeparturePace
from runners.schedule import cannot_be_kept, is_long


class WaitingJobs:
    """Jobs in the order in which they came.

    Args:
        max_waiting: Jobs that may wait, and as many alerts: neither shuts out the other.
        clock: Seconds, as deadlines count them.

    Attributes:
        is_closed: Whether no job is taken any more.
    """

    def __init__(self, max_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_closed = False
        self._max_waiting = max(max_waiting, 1)
        self._clock = clock
        self._jobs: list[AnyJob] = []
        self._num_inside = 0  # waiting, or begun and not left
        self._departures = DeparturePace()
        self._changed = threading.Condition()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._jobs)

    @property
    def jobs(self) -> list[AnyJob]:
        """All of them now."""
        with self._changed:
            return list(self._jobs)

    def num_by_class(self) -> Counter[WorkClass]:
        """How many wait."""
        return Counter(job.work_class for job in self.jobs)

    def add(self, job: AnyJob) -> None:
        """Queue a job.

        Raises:
            QueueFull: As many wait as may, or they will take longer than the job has.
            ShuttingDown: The queue was closed.
        """
        with self._changed:
            if self.is_closed:
                raise stopping()
            wanted = [waiting for waiting in self._jobs if not waiting.is_cancelled]
            self._check_number(job, wanted)
            self._check_time(job, wanted)
            self._jobs.append(job)
            self._num_inside += 1
            self._departures.begin(self._clock())
            self._changed.notify()

    def put_back(self, job: AnyJob) -> None:
        """Let a job that was begun wait again, however many do."""
        with self._changed:
            self._jobs.append(job)

    def take(self, job: AnyJob) -> None:
        """Remove a job that is begun."""
        with self._changed:
            self._jobs.remove(job)

    def drop(self, is_wanted: Callable[[AnyJob], bool]) -> list[AnyJob]:
        """Remove what is not wanted any more, and return it; it leaves without being begun."""
        if not self._jobs:
            return []
        with self._changed:
            gone = [job for job in self._jobs if not is_wanted(job)]
            self._jobs = [job for job in self._jobs if job not in gone]
            self._let_go(len(gone))
        return gone

    def leave(self) -> None:
        """Note that a job that was begun has left the engine, whatever became of it."""
        with self._changed:
            self._departures.leave(self._clock(), num_waiting=len(self._jobs))
            self._let_go(1)

    def close(self) -> None:
        """Take no more; whoever waits for a job is woken."""
        with self._changed:
            self.is_closed = True
            self._changed.notify()

    def wait(self) -> None:
        """Wait for a job, or for the end."""
        with self._changed:
            while not (self._jobs or self.is_closed):
                self._changed.wait()

    def _let_go(self, num_jobs: int) -> None:
        self._num_inside -= num_jobs
        if num_jobs and not self._num_inside:
            self._departures.rest()

    def _check_number(self, job: AnyJob, wanted: Sequence[AnyJob]) -> None:
        is_alert = job.work_class == "alert"
        num_waiting = sum((waiting.work_class == "alert") == is_alert for waiting in wanted)
        if num_waiting >= self._max_waiting:
            wait_s = self._departures.wait_s(len(wanted))
            message = f"{num_waiting} requests are waiting already; try again in {wait_s} s"
            raise QueueFull(message, retry_after_s=wait_s)

    def _check_time(self, job: AnyJob, wanted: Sequence[AnyJob]) -> None:
        """Refuse what would be given up in the middle, where others wait before it."""
        num_before = sum(is_long(waiting) <= is_long(job) for waiting in wanted)
        if job.work_class == "alert" or not num_before:
            return
        num_begun = self._num_inside - len(self._jobs)
        done_s = self._departures.until_s(num_begun + num_before + 1)
        left_s = job.deadline_s - self._clock()
        if done_s > left_s:
            wait_s = self._departures.wait_s(num_before)
            message = (
                f"at the present pace the answer would take {done_s:.0f} s and it may take"
                f" {left_s:.0f}; try again in {wait_s} s"
            )
            raise QueueFull(message, retry_after_s=wait_s)


def is_too_late(job: AnyJob, s_per_token: float) -> bool:
    """Whether a job cannot be done before its deadline, at the best pace of reading."""
    return cannot_be_kept(job, time.monotonic(), s_per_token)


def stopping() -> ShuttingDown:
    """What is said to everybody at the end."""
    return ShuttingDown("the service is stopping; send the request again in a moment")
