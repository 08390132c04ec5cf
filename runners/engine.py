"""The device thread: admits requests, computes them step by step, hands out their tokens.

One thread owns the model. Each turn of its loop drops work that nobody waits for, reads a bounded
piece of the most urgent prompt, and advances all running answers by one token: see ``next_work``
for what is urgent, ``Reader`` for pieces and ``Running`` for answers.

Knows nothing of asyncio or HTTP. ``submit``, ``close``, ``stats`` and ``Job.cancel`` are safe from
any thread.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import torch

from contracts.engine_stats import EngineStats
from contracts.errors import QueueFull, RequestTimeout, RunnerError, ServiceError, ShuttingDown
from contracts.generation import Timings, TokenDelta, Usage
from llava_custom.device_memory import is_out_of_memory, release
from llava_custom.kv_rows import KvRows, is_batchable
from runners.caches import Caches
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob, Job
from runners.limits import EngineLimits
from runners.lone_rows import LoneRows
from runners.pace import DeparturePace
from runners.reading import Reader, Reading, ReadPrompt
from runners.running import Answer, Running
from runners.schedule import EMPTY, FULL, Room, cannot_be_kept, next_work
from runners.shortage import out_of_memory

logger = logging.getLogger(__name__)

READ_S = 0.05  # of a turn, for small pieces of several prompts


class Engine:
    """Turns jobs into deltas on a thread of its own.

    Args:
        model: Used by the engine's thread alone, but for ``plan``.
        limits: What it may take on.
        flush: Called after every turn, on the device thread.
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
        self.batches = is_batchable(model.new_kv_cache())
        self._model = model
        self._limits = limits
        self._flush = flush
        self._waiting: list[AnyJob] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._meter = EngineMeter()
        self._caches = caches or Caches()
        self._reader = Reader(
            model,
            self._meter,
            time.monotonic,
            is_alone=lambda: not self._running.answers,
            caches=self._caches,
        )
        kv_rows = KvRows() if self.batches else LoneRows(model.kv_bytes_per_token)
        self._running = Running(model, kv_rows, self._meter)
        self._readings: dict[AnyJob, Reading] = {}
        self._departures = DeparturePace()
        self._turned_s = time.monotonic()
        self._kv_bytes = 0

    def submit(self, job: AnyJob) -> None:
        """Queue a job.

        Raises:
            QueueFull: As many wait as may.
            ShuttingDown: The engine was closed.
        """
        with self._changed:
            if self._is_closing:
                raise _stopping()
            num_waiting = sum(not waiting.is_cancelled for waiting in self._waiting)
            if num_waiting >= max(self._limits.max_waiting, 1):
                wait_s = self._departures.wait_s(num_waiting)
                message = f"{num_waiting} requests are waiting already; try again in {wait_s} s"
                raise QueueFull(message, retry_after_s=wait_s)
            self._waiting.append(job)
            self._departures.begin(time.monotonic())
            self._changed.notify()

    def close(self) -> None:
        """End all work; ``run`` returns after the step it is in."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()

    def has_turned_within(self, seconds: float) -> bool:
        """Whether the loop is idle or began a turn lately."""
        return not self._has_work or time.monotonic() - self._turned_s < seconds

    def stats(self) -> EngineStats:
        """What was done so far; from any thread."""
        with self._changed:
            waiting = Counter(job.work_class for job in self._waiting)
        running = self._running.num_by_class()
        running.update(job.work_class for job in list(self._readings))
        stats = self._meter.stats(
            waiting,
            running,
            kv_bytes=self._kv_bytes,
            max_kv_bytes=self._limits.max_kv_bytes,
        )
        features, prefixes = self._caches.features.stats, self._caches.prefixes.stats
        return replace(stats, vision_cache=features, prefix_cache=prefixes)

    def run(self) -> None:
        """The device thread's main loop; returns after ``close``."""
        with torch.inference_mode():
            while not self._is_closing:
                self._wait_for_work()
                self._turn()
                self._flush()
            self._refuse_the_rest()
            self._flush()

    @property
    def _has_work(self) -> bool:
        return bool(self._running.answers or self._readings or self._waiting)

    def _wait_for_work(self) -> None:
        with self._changed:
            while not (self._has_work or self._is_closing):
                self._changed.wait()

    def _turn(self) -> None:
        self._turned_s = began_s = time.monotonic()
        self._drop_cancelled()
        while self._read_one_piece() and time.monotonic() - began_s < READ_S:
            self._drop_cancelled()
        if self._running.answers and not self._is_closing:
            self._decode()
        self._kv_bytes = self._running.kv_bytes

    def _drop_cancelled(self) -> None:
        """Let go of what nobody waits for, and refuse what comes too late however it is done."""
        now_s, pace_s = time.monotonic(), self._reader.pace.best_s
        with self._changed:
            late = [job for job in self._waiting if cannot_be_kept(job, now_s, pace_s)]
            gone = [job for job in self._waiting if job.is_cancelled]
            self._waiting = [job for job in self._waiting if job not in (*late, *gone)]
        for job in late:
            job.listener(RequestTimeout("the answer could not have come before its deadline"))
        for job, reading in list(self._readings.items()):
            if job.is_cancelled:
                gone.append(job)
                self._stop_reading(reading)
        for answer in list(self._running.answers):
            if answer.job.is_cancelled:
                gone.append(answer.job)
                self._running.remove(answer)
        for _ in (*late, *gone):
            self._count_departure()

    def _read_one_piece(self) -> bool:
        """Go on with the most urgent prompt; false when there is none that may be read."""
        if self._is_closing or not (self._waiting or self._readings):
            return False
        with self._changed:
            waiting = list(self._waiting)
        job = next_work(list(self._readings), waiting, self._room(), time.monotonic())
        if job is None:
            return False
        if not self._try_reading(job):
            self._run_short(job)
        return True

    def _room(self) -> Room:
        """What may be begun beside what is."""
        if not (self._running.answers or self._readings):
            return EMPTY
        if not self.batches:
            return FULL
        per_token = self._model.kv_bytes_per_token
        num_choices = self._running.num_choices + sum(job.num_choices for job in self._readings)
        held = sum(job.num_kv_tokens * per_token for job in self._readings)
        for answer in self._running.answers:
            expected = answer.job.num_kv_tokens * per_token
            held += max(expected, self._running.bytes_of(answer))
        return self._limits.room(
            num_choices=num_choices, kv_bytes=held, kv_bytes_per_token=per_token
        )

    def _try_reading(self, job: AnyJob) -> bool:
        """Read a piece of a job's prompt; false when the device ran out of memory."""
        reading = self._readings.get(job) or self._begin(job)
        try:
            self._reader.go_on(reading)
            if reading.is_done:
                self._stop_reading(reading)
                self._finish_reading(reading)
        except ServiceError as exc:
            self._fail(job, exc)
        except Exception as exc:
            if is_out_of_memory(exc):
                return False
            logger.exception("%s: reading failed (server_error)", job.name)
            self._fail(job, RunnerError("the engine failed on this request"))
        return True

    def _begin(self, job: AnyJob) -> Reading:
        with self._changed:
            self._waiting.remove(job)
        reading = self._readings[job] = self._reader.begin(job)
        queue_s = reading.begun_s - job.submitted_s
        if not job.is_second_try:
            self._meter[job.work_class].queue_s.count(queue_s)
            if isinstance(job, Job):
                timings = Timings(queue_s=queue_s)
                job.listener(TokenDelta(usage=Usage(job.prompt.tokens), timings=timings))
        return reading

    def _finish_reading(self, reading: Reading) -> None:
        """Answer with what was read, or let the answer begin."""
        job, outcome, now_s = reading.job, reading.outcome, time.monotonic()
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
            self._count_departures(self._running.begin(answer, outcome))
        else:
            assert isinstance(outcome, list)
            self._meter[job.work_class].first_token_s.count(now_s - job.submitted_s)
            job.listener(outcome)
            self._count_departure()

    def _stop_reading(self, reading: Reading) -> None:
        self._readings.pop(reading.job, None)
        reading.pieces.close()

    def _decode(self) -> None:
        """One token for every running answer; what fails is everybody's."""
        has_room = True
        try:
            self._count_departures(self._running.step())
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
            with self._changed:
                self._waiting.append(job)
            return
        logger.warning("%s: out of memory, refused (out_of_memory)", job.name)
        error = out_of_memory(
            job.prompt.tokens,
            num_choices=max(1, job.num_choices),
            kv_bytes_per_token=self._model.kv_bytes_per_token,
            device=self._model.device,
        )
        job.listener(error)
        self._count_departure()

    def _fail(self, job: AnyJob, error: ServiceError) -> None:
        self._leave(job)
        job.listener(error)
        self._count_departure()

    def _leave(self, job: AnyJob) -> None:
        """Drop what was computed of a job."""
        if job in self._readings:
            self._stop_reading(self._readings[job])
        for answer in list(self._running.answers):
            if answer.job is job:
                self._running.remove(answer)

    def _count_departures(self, answers: list[Answer]) -> None:
        for _ in answers:
            self._count_departure()

    def _count_departure(self) -> None:
        with self._changed:
            self._departures.leave(time.monotonic(), is_last=not self._has_work)

    def _refuse_the_rest(self) -> None:
        with self._changed:
            jobs, self._waiting = self._waiting, []
        jobs += [*self._readings, *(answer.job for answer in self._running.answers)]
        for job in jobs:
            self._leave(job)
            job.listener(_stopping())


def _stopping() -> ShuttingDown:
    return ShuttingDown("the service is stopping; send the request again in a moment")
