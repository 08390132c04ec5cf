"""The device thread: admits requests, computes them step by step, hands out their tokens.

One thread owns the model. Each turn of its loop drops work that nobody waits for, reads a bounded
piece of the most urgent prompts, and advances all running answers by one token: see ``ReadingDesk``
for what is read, and ``Running`` for answers.

Knows nothing of asyncio or HTTP. ``submit``, ``close``, ``stats`` and ``Job.cancel`` are safe from
any thread.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from contracts.engine_stats import EngineStats
from contracts.errors import ModelUnavailable, RequestTimeout, RunnerError, ServiceError
from contracts.generation import Timings
from llava_custom.device_memory import is_out_of_memory, release
from llava_custom.kv_rows import KvRows, has_known_layers
from runners.attempts import failure_of
from runners.caches import Caches
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob, Job
from runners.limits import EngineLimits
from runners.lone_rows import LoneRows
from runners.passes import Passes
from runners.reader import Reader
from runners.reading import Reading, ReadPrompt
from runners.reading_desk import Ended, ReadingDesk
from runners.running import Answer, Running
from runners.schedule import EMPTY, FULL, Room
from runners.shortage import out_of_memory
from runners.waiting import WaitingJobs, is_too_late, stopping

logger = logging.getLogger(__name__)

READ_S = 0.05  # of a turn, for small pieces of several prompts


class Engine:
    """Turns jobs into deltas on a thread of its own.

    Args:
        model: Used by the engine's thread alone, but for ``plan``.
        limits: What it may take on.
        flush: Called when something was said, on the device thread, and after every turn.
        caches: Of this model.

    Attributes:
        batches: Whether requests are computed together; else they are one by one.
    """

    def __init__(
        self,
        model: ModelFamily,
        limits: EngineLimits,
        flush: Callable[[], None] = lambda: None,
        caches: Caches | None = None,
    ) -> None:
        self.batches = has_known_layers(model.new_kv_cache())
        self._model = model
        self._limits = limits
        self._flush = flush
        self._waiting = WaitingJobs(limits.max_waiting)
        self._meter = EngineMeter()
        self._caches = caches or Caches()
        passes = Passes(
            model, self._meter, time.monotonic, is_alone=lambda: not self._running.answers
        )
        self._reader = Reader(model, self._meter, time.monotonic, passes, self._caches)
        self._desk = ReadingDesk(
            self._reader, passes, self._waiting, self._meter, self._room, flush
        )
        kv_rows = KvRows() if self.batches else LoneRows(model.kv_bytes_per_token)
        self._running = Running(model, kv_rows, self._meter)
        self._turned_s = time.monotonic()
        self._kv_bytes = 0

    def submit(self, job: AnyJob) -> None:
        """Queue a job.

        Raises:
            QueueFull: As many wait as may.
            ShuttingDown: The engine was closed.
        """
        if not self._has_work:
            self._turned_s = time.monotonic()  # until now there was nothing to turn for
        self._waiting.add(job)

    def close(self) -> None:
        """End all work; ``run`` returns after the step it is in."""
        self._waiting.close()

    def has_turned_within(self, seconds: float) -> bool:
        """Whether the loop is idle or began a turn lately."""
        return not self._has_work or time.monotonic() - self._turned_s < seconds

    def stats(self) -> EngineStats:
        """What was done so far; from any thread."""
        running = self._running.num_by_class()
        running.update(job.work_class for job in list(self._desk.readings))
        stats = self._meter.stats(
            self._waiting.num_by_class(),
            running,
            kv_bytes=self._kv_bytes,
            max_kv_bytes=self._limits.max_kv_bytes,
        )
        features, prefixes = self._caches.features.stats, self._caches.prefixes.stats
        return replace(stats, vision_cache=features, prefix_cache=prefixes)

    def run(self) -> None:
        """The device thread's main loop; returns after ``close``, or when it failed itself."""
        error: ServiceError = stopping()
        with torch.inference_mode():
            try:
                while not self._waiting.is_closed:
                    if not self._has_work:
                        self._waiting.wait()
                    self._turn()
                    self._flush()
            except Exception:  # nobody else would tell those who wait
                logger.exception("the engine has stopped (server_error)")
                error = ModelUnavailable("the engine has stopped; the service must be restarted")
                self._waiting.close()
            self._refuse_the_rest(error)

    @property
    def _has_work(self) -> bool:
        return bool(self._running.answers or self._desk.readings or self._waiting)

    def _turn(self) -> None:
        self._turned_s = began_s = time.monotonic()
        self._drop_cancelled()
        until_s = began_s + READ_S
        while self._read(until_s) and time.monotonic() < until_s:
            self._drop_cancelled()
        if self._running.answers and not self._waiting.is_closed:
            self._decode()
        self._kv_bytes = self._running.kv_bytes

    def _drop_cancelled(self) -> None:
        """Let go of what nobody waits for, and refuse what comes too late however it is done."""
        pace_s = self._reader.pace.best_s
        self._waiting.drop(lambda job: not job.is_cancelled)
        late = self._waiting.drop(lambda job: not is_too_late(job, pace_s))
        for job in late:
            job.listener(RequestTimeout("the answer could not have come before its deadline"))
        num_gone = 0
        for job in list(self._desk.readings):
            if job.is_cancelled:
                num_gone += 1
                self._desk.stop(job)
        for answer in list(self._running.answers):
            if answer.job.is_cancelled:
                num_gone += 1
                self._running.remove(answer)
        self._count_departures(num_gone)

    def _read(self, until_s: float) -> bool:
        """Go on with the most urgent prompts; false when there is none that may be read."""
        ended = None if self._waiting.is_closed else self._desk.go_on(until_s)
        if ended is None:
            return False
        for one in ended:
            self._end_reading(one)
        self._flush()  # a first token does not wait for the step after it
        return True

    def _room(self) -> Room:
        """What may be begun beside what is."""
        if not (self._running.answers or self._desk.readings):
            return EMPTY
        if not self.batches:
            return FULL
        per_token = self._running.kv_bytes_per_token
        num_choices = self._running.num_choices + sum(
            job.num_choices for job in self._desk.readings
        )
        held = sum(map(self._running.bytes_for, self._desk.readings))
        held += sum(self._running.expected_bytes_of(answer) for answer in self._running.answers)
        return self._limits.room(
            num_choices=num_choices, kv_bytes=held, kv_bytes_per_token=per_token
        )

    def _end_reading(self, ended: Ended) -> None:
        job, failure = ended.reading.job, ended.failure
        if failure is None:
            failure = failure_of(partial(self._finish_reading, ended.reading), job.name)
        if isinstance(failure, ServiceError):
            self._fail(job, failure)
        elif failure is not None:
            self._run_short(job)

    def _finish_reading(self, reading: Reading) -> None:
        """Answer with what was read, or let the answer begin."""
        job, outcome, now_s = reading.job, reading.outcome, time.monotonic()
        reading.outcome = None  # if there is no room for it, nothing must hold it
        self._desk.stop(job)
        self._meter.count_prompt(job.prompt.tokens, num_cached=reading.num_cached)
        if isinstance(job, Job):
            assert isinstance(outcome, ReadPrompt)
            timings = Timings(
                queue_s=reading.begun_s - job.submitted_s,
                encode_s=reading.encoded_s - reading.begun_s,
                prefill_s=now_s - reading.encoded_s,
            )
            answer = Answer(
                job, reading.num_cached, outcome.next_position, timings, prefilled_s=now_s
            )
            self._count_departures(len(self._running.begin(answer, outcome)))
        else:
            assert isinstance(outcome, list)
            self._meter[job.work_class].first_token_s.count(now_s - job.submitted_s)
            job.listener(outcome)
            self._count_departures()

    def _decode(self) -> None:
        """One token for every running answer; what fails is everybody's."""
        has_room = True
        try:
            self._count_departures(len(self._running.step()))
        except Exception as exc:
            has_room = not is_out_of_memory(exc)
            if has_room:
                logger.exception("a step failed (server_error)")
                for answer in list(self._running.answers):
                    self._fail(answer.job, RunnerError("the engine failed on this request"))
        if not has_room:
            self._run_short(self._running.largest().job)

    def _run_short(self, job: AnyJob) -> None:
        """Begin a job again that has handed out nothing yet, once; else refuse it.

        The step's frames are gone by now, and with them the references to its tensors.
        """
        self._leave(job)
        self._caches.clear()
        release(self._model.device)
        if not job.has_answered and not job.is_second_try:
            logger.warning("%s: out of memory, trying once more", job.name)
            job.is_second_try = True
            self._waiting.put_back(job)
            return
        logger.warning("%s: out of memory, refused (out_of_memory)", job.name)
        error = out_of_memory(
            job.prompt.tokens,
            num_choices=max(1, job.num_choices),
            kv_bytes_per_token=self._model.kv_bytes_per_token,
            device=self._model.device,
        )
        job.listener(error)
        self._count_departures()

    def _fail(self, job: AnyJob, error: ServiceError) -> None:
        self._leave(job)
        job.listener(error)
        self._count_departures()

    def _leave(self, job: AnyJob) -> None:
        """Drop what was computed of a job."""
        self._desk.stop(job)
        for answer in list(self._running.answers):
            if answer.job is job:
                self._running.remove(answer)

    def _count_departures(self, num_jobs: int = 1) -> None:
        for _ in range(num_jobs):
            self._waiting.leave()

    def _refuse_the_rest(self, error: ServiceError) -> None:
        jobs = self._waiting.drop(lambda _: False)
        jobs += [*self._desk.readings, *(answer.job for answer in self._running.answers)]
        for job in jobs:
            job.listener(error)
        self._flush()
        for job in jobs:
            self._leave(job)
