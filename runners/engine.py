"""The device thread: admits requests, computes them step by step, hands out their tokens.

One thread owns the model. Each turn of its loop drops work that nobody waits for, admits the next
request when the batch is empty, and advances the whole batch by one token. Callers submit a ``Job``
and listen; how many jobs share a batch is the engine's own affair.

Knows nothing of asyncio or HTTP. ``submit``, ``close`` and ``Job.cancel`` are safe from any thread.
"""

import logging
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.engine_stats import EngineStats
from contracts.errors import QueueFull, RunnerError, ServiceError, ShuttingDown
from contracts.generation import Timings, TokenDelta, Usage
from llava_custom import Embedded, Stopped
from llava_custom.device_memory import is_out_of_memory, release
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import Job, JudgeJob
from runners.judging import YesNo, last_logits
from runners.sequence import Sequence
from runners.shortage import out_of_memory

logger = logging.getLogger(__name__)

PREFILL_CHUNK = 2048  # tokens between two looks at whether the client is still there

AnyJob = Job | JudgeJob


@dataclass(slots=True, eq=False)
class Batch:
    """The choices of the admitted job: one row of the cache for each that still runs.

    Attributes:
        first_position: Where the first token of every answer stands.
    """

    job: Job
    kv_cache: DynamicCache
    running: list[Sequence]
    first_position: int
    timings: Timings
    prefilled_s: float
    num_drawn: int = 0

    def closing(self, delta: TokenDelta) -> TokenDelta:
        """The request's last delta, with what it used and took."""
        usage = Usage(self.job.prompt.tokens, completion=self.num_drawn)
        generate_s = time.monotonic() - self.prefilled_s
        return replace(delta, usage=usage, timings=replace(self.timings, generate_s=generate_s))

    def last_tokens(self) -> list[tuple[int, int]]:
        """The token that each row drew last, and where it stands."""
        return [
            (sequence.last_token_id, self.first_position + sequence.num_tokens - 1)
            for sequence in self.running
        ]

    def keep(self, row_indices: list[int]) -> None:
        """Let the other rows leave."""
        if len(row_indices) < len(self.running):
            self.kv_cache.batch_select_indices(torch.tensor(row_indices))
            self.running = [self.running[index] for index in row_indices]


class Engine:
    """Turns jobs into deltas on a thread of its own.

    Args:
        model: Used by the engine's thread alone, but for ``plan``.
        max_waiting: Jobs that may wait; one more is a ``QueueFull``.
    """

    def __init__(self, model: ModelFamily, *, max_waiting: int) -> None:
        self._model = model
        self._max_waiting = max_waiting
        self._waiting: deque[AnyJob] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._batch: Batch | None = None
        self._turned_s = time.monotonic()
        self._admitted_s = self._turned_s
        self._mean_job_s = 1.0
        self._meter = EngineMeter()

    def submit(self, job: AnyJob) -> None:
        """Queue a job.

        Raises:
            QueueFull: As many wait as may.
            ShuttingDown: The engine was closed.
        """
        with self._changed:
            if self._is_closing:
                raise _stopping()
            num_waiting = len(self._waiting)
            if num_waiting >= max(self._max_waiting, 1):
                wait_s = min(60, max(1, round(num_waiting * self._mean_job_s)))
                message = f"{num_waiting} requests are waiting already; try again in {wait_s} s"
                raise QueueFull(message, retry_after_s=wait_s)
            self._waiting.append(job)
            self._changed.notify()

    def close(self) -> None:
        """End all work; ``run`` returns after the step it is in."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()

    def has_turned_within(self, seconds: float) -> bool:
        """Whether the loop is idle or began a turn lately."""
        is_idle = not (self._batch or self._waiting)
        return is_idle or time.monotonic() - self._turned_s < seconds

    def stats(self) -> EngineStats:
        """What was done so far; from any thread."""
        with self._changed:
            waiting = Counter(job.work_class for job in self._waiting)
        batch = self._batch
        running = Counter({batch.job.work_class: len(batch.running)} if batch else {})
        return self._meter.stats(waiting, running)

    def run(self) -> None:
        """The device thread's main loop; returns after ``close``."""
        with torch.inference_mode():
            while not self._is_closing:
                self._wait_for_work()
                self._turn()
        self._refuse_the_rest()

    def _wait_for_work(self) -> None:
        with self._changed:
            while not (self._batch or self._waiting or self._is_closing):
                self._changed.wait()

    def _turn(self) -> None:
        """One turn; what fails ends its own job and no other."""
        self._turned_s = time.monotonic()
        job = self._batch.job if self._batch else self._next_job()
        if job is None:
            return
        if not self._step(job):
            self._run_short(job)
        if self._batch is None:
            self._mean_job_s += 0.2 * (time.monotonic() - self._admitted_s - self._mean_job_s)

    def _step(self, job: AnyJob) -> bool:
        """Admit the job, or advance its batch; false when the device ran out of memory."""
        batch, self._batch = self._batch, None
        try:
            self._batch = self._advance(batch) if batch else self._begin(job)
        except Stopped:
            if not job.is_cancelled:
                job.listener(_stopping())
        except ServiceError as exc:
            job.listener(exc)
        except Exception as exc:
            if is_out_of_memory(exc):
                return False
            logger.exception("%s: a step failed (server_error)", job.name)
            job.listener(RunnerError("the engine failed on this request"))
        return True

    def _run_short(self, job: AnyJob) -> None:
        """Begin a job again that has handed out nothing yet, once; else refuse it.

        The step's frames are gone by now, and with them the references to its tensors.
        """
        release(self._model.device)
        if not job.has_answered and not job.is_second_try:
            logger.warning("%s: out of memory, trying once more", job.name)
            job.is_second_try = True
            with self._changed:
                self._waiting.appendleft(job)
            return
        logger.warning("%s: out of memory, refused (out_of_memory)", job.name)
        job.listener(
            out_of_memory(
                job.prompt.tokens,
                num_choices=job.num_choices,
                kv_bytes_per_token=self._model.kv_bytes_per_token,
                device=self._model.device,
            )
        )

    def _next_job(self) -> AnyJob | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def _refuse_the_rest(self) -> None:
        jobs: list[AnyJob] = [*([self._batch.job] if self._batch else []), *self._waiting]
        self._batch = None
        self._waiting.clear()
        for job in jobs:
            job.listener(_stopping())

    def _should_stop(self, job: AnyJob) -> bool:
        return job.is_cancelled or self._is_closing

    def _begin(self, job: AnyJob) -> Batch | None:
        """Admit an answer, or judge from beginning to end: one step, for it draws no token."""
        self._admitted_s = time.monotonic()
        if self._should_stop(job):
            raise Stopped
        if isinstance(job, Job):
            return self._admit(job)
        self._judge(job)
        return None

    def _judge(self, job: JudgeJob) -> None:
        """Encode the clip once, prefill what the questions share once, then each one's rest."""
        answers = self._yes_no  # before any work: a tokenizer may have none
        blocks = self._encode(job)
        judgements = []
        for logits in last_logits(self._model, job.prompts, blocks, partial(self._prefill, job)):
            if self._should_stop(job):
                raise Stopped
            self._turned_s = time.monotonic()
            judgements.append(answers.judgement(logits[0], known_mass=job.known_mass))
        job.listener(judgements)

    @cached_property
    def _yes_no(self) -> YesNo:
        return YesNo.of(self._model.tokenizer.backend_tokenizer)

    def _encode(self, job: AnyJob) -> list[Tensor]:
        """The visual tokens (T, D) of each of the job's media."""
        return [
            self._model.encode(visual, lambda: self._should_stop(job))
            for visual in job.prompt.visuals
        ]

    def _admit(self, job: Job) -> Batch | None:
        """Encode the job's media, prefill its prompt once, hand out the first tokens."""
        began_s = self._admitted_s
        timings = Timings(queue_s=began_s - job.submitted_s)
        if not job.is_second_try:
            job.listener(TokenDelta(usage=Usage(job.prompt.tokens), timings=timings))
        blocks = self._encode(job)
        encoded_s = time.monotonic()
        embedded, kv_cache = self._model.embed(job.prompt, blocks), self._model.new_kv_cache()
        logits = self._prefill(job, embedded, kv_cache)
        prefilled_s = time.monotonic()
        timings = replace(timings, encode_s=encoded_s - began_s, prefill_s=prefilled_s - encoded_s)
        num_choices = job.num_choices
        if num_choices > 1:
            kv_cache.batch_repeat_interleave(num_choices)
        first_position = embedded.next_position
        batch = Batch(job, kv_cache, self._sequences(job), first_position, timings, prefilled_s)
        return self._hand_out(batch, logits.expand(num_choices, -1))

    def _prefill(self, job: AnyJob, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        """Logits (1, V) after the prompt, read in bounded stretches."""
        chunk_size = PREFILL_CHUNK // 4 if job.is_second_try else PREFILL_CHUNK
        first, *rest = embedded.split(chunk_size)
        logits = self._model.prefill(first, kv_cache)
        for stretch in rest:
            if self._should_stop(job):
                raise Stopped
            logits = self._model.prefill(stretch, kv_cache)
        return logits

    def _sequences(self, job: Job) -> list[Sequence]:
        sampling = job.request.sampling
        tokenizer = self._model.tokenizer.backend_tokenizer
        return [
            Sequence(sampling, index, job.max_tokens, self._model.eos_token_ids, tokenizer)
            for index in range(sampling.num_choices)
        ]

    def _advance(self, batch: Batch) -> Batch | None:
        """One decode step for every running choice."""
        if self._should_stop(batch.job):
            raise Stopped
        steps = torch.tensor(batch.last_tokens(), device=self._model.device)  # (B, 2): one copy
        token_ids, positions = steps.unbind(dim=1)
        logits = self._model.decode_step(token_ids, positions, batch.kv_cache)
        return self._hand_out(batch, logits)

    def _hand_out(self, batch: Batch, logits: Tensor) -> Batch | None:
        """Draw a token for each row of the logits (B, V); ``None`` when all rows ended."""
        deltas = [
            sequence.advance(row) for sequence, row in zip(batch.running, logits, strict=True)
        ]
        batch.num_drawn += len(deltas)
        going = [index for index, delta in enumerate(deltas) if delta.finish_reason is None]
        if not going:
            deltas[-1] = batch.closing(deltas[-1])
        for delta in deltas:
            if delta.text or delta.logprobs or delta.finish_reason:
                batch.job.has_answered = True
                batch.job.listener(delta)
        if not going:
            batch.job.listener(None)
            return None
        batch.keep(going)
        return batch


def _stopping() -> ShuttingDown:
    return ShuttingDown("the service is stopping; send the request again in a moment")
