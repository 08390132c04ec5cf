"""Prompts that are being read: which go on next, and which of them together.

Runs on the device thread. What fails is the matter of one job alone, and comes back as a value.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from contracts.generation import Timings, TokenDelta, Usage
from runners.attempts import Failure, failure_of
from runners.engine_meter import EngineMeter
from runners.jobs import AnyJob, Job
from runners.passes import Passes
from runners.reader import Reader
from runners.reading import Reading
from runners.schedule import Room, next_work
from runners.waiting import WaitingJobs


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """A reading that is over.

    Attributes:
        reading: Nothing goes on with it.
        failure: Why it failed; ``None`` when all was read.
    """

    reading: Reading
    failure: Failure | None


class ReadingDesk:
    """The readings that were begun.

    Args:
        reader: Says what is to be read.
        passes: Read it.
        waiting: Where jobs are taken from.
        meter: Told of waiting.
        room: What may be begun beside what is.
        flush: Called when jobs were begun, before they are read.

    Attributes:
        readings: By job, in the order in which they were begun.
    """

    def __init__(
        self,
        reader: Reader,
        passes: Passes,
        waiting: WaitingJobs,
        meter: EngineMeter,
        room: Callable[[], Room],
        flush: Callable[[], None],
    ) -> None:
        self.readings: dict[AnyJob, Reading] = {}
        self._reader = reader
        self._passes = passes
        self._waiting = waiting
        self._meter = meter
        self._room = room
        self._flush = flush

    def go_on(self, until_s: float) -> list[Ended] | None:
        """Make one pass over the most urgent prompts, or work towards it.

        Args:
            until_s: When it is not worked towards any more.

        Returns:
            What ended by it, to be stopped by the caller; ``None`` when there is nothing that may
            be read.
        """
        company: list[Reading] = []
        reading, room = self._next(company), 1
        if reading is None:
            return None
        while reading is not None:
            failure = failure_of(partial(self._reader.prepare, reading), reading.job.name)
            if failure is not None or reading.is_done:
                return [self._end(reading, failure), *self._read(company)]
            if company and (reading.rest is None or reading.is_apart or len(reading.rest) > room):
                break  # what is more urgent does not wait for it
            if reading.rest is not None:
                company.append(reading)
                room = self._passes.room_beside(company)
            if room <= 0 or time.monotonic() >= until_s:
                break
            reading = self._next(company)
        return self._read(company)

    def stop(self, job: AnyJob) -> None:
        """Let go of a job's reading, if there is one."""
        reading = self.readings.pop(job, None)
        if reading is not None:
            reading.pieces.close()

    def _next(self, company: Sequence[Reading]) -> Reading | None:
        """The most urgent reading beside those, perhaps a new one."""
        if not (self._waiting or len(self.readings) > len(company)):
            return None
        job = next_work(
            list(self.readings),
            self._waiting.jobs,
            self._room(),
            time.monotonic(),
            passing={reading.job for reading in company},
        )
        if job is None:
            return None
        if job in self.readings:
            return self.readings[job]
        return None if self._reader.should_wait(job, company) else self._begin(job)

    def _begin(self, job: AnyJob) -> Reading:
        self._waiting.take(job)
        reading = self.readings[job] = self._reader.begin(job)
        queue_s = reading.begun_s - job.submitted_s
        if not job.is_second_try:
            self._meter[job.work_class].queue_s.count(queue_s)
            if isinstance(job, Job):
                timings = Timings(queue_s=queue_s)
                job.listener(TokenDelta(usage=Usage(job.prompt.tokens), timings=timings))
        return reading

    def _read(self, company: Sequence[Reading]) -> list[Ended]:
        """One pass over all; where that fails, one over each."""
        self._flush()  # what admission leads to is done meanwhile
        rows = self._passes.over_all(company) if len(company) > 1 else None
        if rows is None:
            steps = [partial(self._reader.read, reading) for reading in company]
        else:
            pairs = zip(company, rows, strict=True)
            steps = [partial(self._reader.take, reading, logits) for reading, logits in pairs]
        ended = []
        for reading, step in zip(company, steps, strict=True):
            failure = failure_of(step, reading.job.name)
            if failure is not None or reading.is_done:
                ended.append(self._end(reading, failure))
        return ended

    def _end(self, reading: Reading, failure: Failure | None) -> Ended:
        reading.pieces.close()
        reading.rest = None  # its memory may be what was missing
        return Ended(reading, failure)
