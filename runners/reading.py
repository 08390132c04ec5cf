"""From a prompt to its first logits, in pieces of bounded size.

A reading is a generator: it yields after every piece, so that others can go on in between, and what
it returns is what was read. Closing it ends the work. Runs on the device thread; knows nothing of
queues.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from contracts.judging import Judgement
from llava_custom import Embedded, Prompt
from runners.caches import Caches
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob, Job, JudgeJob
from runners.judging import PASS_TOKENS, YesNo, in_passes, last_logits, num_shared_tokens
from runners.pace import ReadingPace

PREFILL_CHUNK = 2048  # tokens read at a time at most
FIRST_CHUNK = 512  # before it is known how fast that goes
LEAST_CHUNK = 128
PIECE_S = 0.1  # that a piece may keep running answers waiting, about
LONE_PIECE_S = 1.0  # where none is running: somebody may come

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


@dataclass(frozen=True, slots=True, eq=False)
class BegunPrompt:
    """A prompt of which nothing was read yet that had to be.

    Attributes:
        embedded: All of it.
        kv_cache: Keys and values of what is known.
        num_known: How many tokens those are, from the beginning.
    """

    embedded: Embedded
    kv_cache: DynamicCache
    num_known: int


@dataclass(slots=True, eq=False)
class Reading:
    """A job whose prompt is being read.

    Attributes:
        job: Whose prompt it is.
        begun_s: When the first piece was begun.
        encoded_s: When the pictures were done.
        busy_s: Seconds of all its pieces.
        num_known: Tokens of the prompt whose keys and values were kept.
        num_cached: Those, and visual ones that were seen before: they were not computed again.
        outcome: What was read; ``None`` before it is all.
    """

    job: AnyJob
    begun_s: float
    encoded_s: float
    busy_s: float = 0.0
    num_known: int = 0
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
        caches: Of what was seen and read before.
    """

    def __init__(
        self,
        model: ModelFamily,
        meter: EngineMeter,
        clock: Callable[[], float],
        is_alone: Callable[[], bool],
        caches: Caches,
    ) -> None:
        self._model = model
        self._meter = meter
        self._clock = clock
        self._is_alone = is_alone
        self._caches = caches
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
            num_read = reading.job.num_prompt_tokens - reading.num_known
            self.pace.count(max(num_read, LEAST_CHUNK), reading.busy_s)

    def _read(self, reading: Reading, job: Job) -> Pieces[ReadPrompt | list[Judgement]]:
        return (yield from self._read_whole(reading, job.prompt))

    def _read_whole(self, reading: Reading, prompt: Prompt) -> Pieces[ReadPrompt]:
        num_tokens = prompt.tokens.total
        begun = yield from self._begin_prompt(reading, prompt, most_known=num_tokens - 1)
        rest = begun.embedded.stretch(begun.num_known, num_tokens)
        logits = yield from self._prefill(reading.job, rest, begun.kv_cache)
        self._caches.prefixes.keep(prompt, begun.kv_cache)
        return ReadPrompt(logits, begun.kv_cache, begun.embedded.next_position)

    def _begin_prompt(
        self, reading: Reading, prompt: Prompt, *, most_known: int
    ) -> Pieces[BegunPrompt]:
        """Look up what is known of a prompt, and encode the pictures behind that."""
        kv_cache = self._model.new_kv_cache()
        num_known = self._caches.prefixes.fill(prompt, kv_cache, most_known)
        reading.num_known = num_known
        blocks = yield from self._encode(reading, prompt, num_known)
        reading.encoded_s = self._clock()
        return BegunPrompt(self._model.embed(prompt, blocks), kv_cache, num_known)

    def _judge(self, reading: Reading, job: JudgeJob) -> Pieces[ReadPrompt | list[Judgement]]:
        """Read what the questions share once, then the rest of all of them together."""
        answers = self._yes_no  # before any work: a tokenizer may have none
        num_shared = num_shared_tokens(job.prompts)
        rests = [prompt.text_behind(num_shared) for prompt in job.prompts]
        if num_shared and None not in rests:
            whole = [rest for rest in rests if rest is not None]
            rows = yield from self._read_together(reading, job, num_shared, whole)
        else:
            rows = yield from self._read_one_by_one(reading, job)
        return [answers.judgement(logits[0], known_mass=job.known_mass) for logits in rows]

    def _read_together(
        self, reading: Reading, job: JudgeJob, num_shared: int, rests: Sequence[tuple[int, ...]]
    ) -> Pieces[list[Tensor]]:
        """Logits (1, V) after each question."""
        prompt, prefixes = job.prompt, self._caches.prefixes
        begun = yield from self._begin_prompt(reading, prompt, most_known=num_shared)
        if begun.num_known < num_shared:
            shared = begun.embedded.stretch(begun.num_known, num_shared)
            yield from self._prefill(job, shared, begun.kv_cache)
            yield
        # A stream's next look has other frames: keeping these would only drive others out.
        prefixes.keep(prompt, begun.kv_cache, min(num_shared, prompt.num_tokens_ahead))
        position = int(begun.embedded.positions[0, num_shared])
        found: list[Tensor] = []
        pass_tokens = min(PASS_TOKENS, self._chunk_size(job))
        for group in in_passes(rests, pass_tokens):
            began_s = self._clock()
            found += last_logits(self._model, group, position, begun.kv_cache)
            self._meter.prefill_s.count(self._elapsed_s(began_s))
            yield
        return found

    def _read_one_by_one(self, reading: Reading, job: JudgeJob) -> Pieces[list[Tensor]]:
        """Likewise, where they share nothing, or not all of their pictures."""
        found = []
        for prompt in job.prompts:
            read = yield from self._read_whole(reading, prompt)
            found.append(read.logits)
            yield
        return found

    @cached_property
    def _yes_no(self) -> YesNo:
        return YesNo.of(self._model.tokenizer.backend_tokenizer)

    def _encode(self, reading: Reading, prompt: Prompt, num_known: int) -> Pieces[list[Tensor]]:
        """The visual tokens (T, D) of a prompt's media; blank ones where they are known."""
        visuals = prompt.visuals
        num_blank = prompt.num_visuals_within(num_known)
        encoding = self._model.encoding(visuals[num_blank:], self._caches.features)
        while not encoding.is_done:
            began_s = self._clock()
            encoding.step()
            self._meter.encode_s.count(self._elapsed_s(began_s))
            yield
        reading.num_cached = num_known + encoding.num_cached_tokens
        blanks = [self._model.blank_block(visual) for visual in visuals[:num_blank]]
        return blanks + encoding.blocks()

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
        if not pace_s:
            return min(most, FIRST_CHUNK)
        seconds = LONE_PIECE_S if self._is_alone() else PIECE_S
        return min(most, max(LEAST_CHUNK, int(seconds / pace_s) // LEAST_CHUNK * LEAST_CHUNK))

    def _elapsed_s(self, began_s: float) -> float:
        """Seconds since then, with what the device was asked to do since."""
        wait_for(self._model.device)
        return self._clock() - began_s


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was asked to; CUDA only notes what is asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
