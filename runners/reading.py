"""From a prompt to its first logits, in pieces of bounded size.

A reading is a generator: it yields after every piece, so that others can go on in between, and what
it returns is what was read. Closing it ends the work. Runs on the device thread; knows nothing of
queues.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.judging import Judgement
from llava_custom import Embedded
from llava_custom.encoding import FeatureCache
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob, Job, JudgeJob
from runners.judging import YesNo, last_logits
from runners.pace import ReadingPace

PREFILL_CHUNK = 2048  # tokens read at a time when nobody else would wait
LEAST_CHUNK = 128
PIECE_S = 0.1  # that a piece may keep running answers waiting, about

T = TypeVar("T")
Pieces = Generator[None, None, T]


@dataclass(frozen=True, slots=True, eq=False)
class ReadPrompt:
    """A prompt that was read.

    Attributes:
        logits: After it, float32, shape (1, V).
        kv_cache: Its keys and values.
        next_position: Where the answer begins.
    """

    logits: Tensor
    kv_cache: DynamicCache
    next_position: int


@dataclass(slots=True, eq=False)
class Reading:
    """A job whose prompt is being read.

    Attributes:
        job: Whose prompt it is.
        begun_s: When the first piece was begun.
        encoded_s: When the pictures were done.
        busy_s: Seconds of all its pieces.
        num_cached: Tokens of the prompt that were not computed again.
        outcome: What was read; ``None`` before it is all.
    """

    job: AnyJob
    begun_s: float
    encoded_s: float
    busy_s: float = 0.0
    num_cached: int = 0
    outcome: "ReadPrompt | list[Judgement] | None" = None
    pieces: "Pieces[ReadPrompt | list[Judgement]]" = field(init=False)

    @property
    def is_done(self) -> bool:
        """Whether all was read."""
        return self.outcome is not None


class Reader:
    """Reads prompts.

    Args:
        model: Reads.
        meter: Told how long pictures and stretches took.
        clock: Seconds, monotonic.
        is_alone: Whether no answer is running that a long piece would hold up.
        features: Of pictures that were seen before.
    """

    def __init__(
        self,
        model: ModelFamily,
        meter: EngineMeter,
        clock: Callable[[], float],
        is_alone: Callable[[], bool],
        features: FeatureCache,
    ) -> None:
        self._model = model
        self._meter = meter
        self._clock = clock
        self._is_alone = is_alone
        self._features = features
        self._stretch_pace = ReadingPace()
        self.pace = ReadingPace()

    def begin(self, job: AnyJob) -> Reading:
        """A reading of which no piece was done yet."""
        now_s = self._clock()
        reading = Reading(job, now_s, now_s)
        reading.pieces = (
            self._read(reading, job) if isinstance(job, Job) else self._judge(reading, job)
        )
        return reading

    def go_on(self, reading: Reading) -> None:
        """Do one piece."""
        began_s = self._clock()
        try:
            next(reading.pieces)
        except StopIteration as done:
            reading.outcome = done.value
        reading.busy_s += self._clock() - began_s
        if reading.is_done:
            self.pace.count(reading.job.num_prompt_tokens, reading.busy_s)

    def _read(self, reading: Reading, job: Job) -> Pieces[ReadPrompt | list[Judgement]]:
        blocks = yield from self._encode(reading)
        reading.encoded_s = self._clock()
        embedded, kv_cache = self._model.embed(job.prompt, blocks), self._model.new_kv_cache()
        logits = yield from self._prefill(job, embedded, kv_cache)
        return ReadPrompt(logits, kv_cache, embedded.next_position)

    def _judge(self, reading: Reading, job: JudgeJob) -> Pieces[ReadPrompt | list[Judgement]]:
        """Encode the clip once, prefill what the questions share once, then each one's rest."""
        answers = self._yes_no  # before any work: a tokenizer may have none
        blocks = yield from self._encode(reading)
        rows = yield from last_logits(self._model, job.prompts, blocks, partial(self._prefill, job))
        return [answers.judgement(logits[0], known_mass=job.known_mass) for logits in rows]

    @cached_property
    def _yes_no(self) -> YesNo:
        return YesNo.of(self._model.tokenizer.backend_tokenizer)

    def _encode(self, reading: Reading) -> Pieces[list[Tensor]]:
        """The visual tokens (T, D) of each of the job's media."""
        encoding = self._model.encoding(reading.job.prompt.visuals, self._features)
        while not encoding.is_done:
            began_s = self._clock()
            encoding.step()
            self._meter.encode_s.count(self._elapsed_s(began_s))
            yield
        reading.num_cached = encoding.num_cached_tokens
        return encoding.blocks()

    def _prefill(self, job: AnyJob, embedded: Embedded, kv_cache: DynamicCache) -> Pieces[Tensor]:
        """Logits (1, V) after the prompt, read in bounded stretches."""
        start = 0
        while True:
            stop = embedded.end_of_stretch(start, self._chunk_size(job))
            began_s = self._clock()
            logits = self._model.prefill(embedded.stretch(start, stop), kv_cache)
            seconds = self._elapsed_s(began_s)
            self._meter.prefill_s.count(seconds)
            self._stretch_pace.count(max(stop - start, LEAST_CHUNK), seconds)
            if stop == len(embedded):
                return logits
            start = stop
            yield

    def _chunk_size(self, job: AnyJob) -> int:
        most = PREFILL_CHUNK // 4 if job.is_second_try else PREFILL_CHUNK
        pace_s = self._stretch_pace.usual_s
        if self._is_alone() or not pace_s:
            return most
        return min(most, max(LEAST_CHUNK, int(PIECE_S / pace_s) // LEAST_CHUNK * LEAST_CHUNK))

    def _elapsed_s(self, began_s: float) -> float:
        """Seconds since then, with what the device was asked to do since."""
        wait_for(self._model.device)
        return self._clock() - began_s


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was asked to; CUDA only notes what is asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
