"""From a prompt to its first logits, in pieces of bounded size.

Says what is to be read of a prompt, and in which order; ``Passes`` reads it. Runs on the device
thread; knows nothing of queues.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from torch import Tensor

from contracts.judging import Judgement
from llava_custom import Prompt
from llava_custom.lean_reading import Stretch
from runners.caches import Caches
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob, Job, JudgeJob
from runners.judging import PASS_TOKENS, YesNo, in_passes, last_logits, num_shared_tokens
from runners.pace import ReadingPace
from runners.passes import LEAST_CHUNK, Passes
from runners.prefix_cache import LEAST_TOKENS
from runners.reading import BegunPrompt, Pieces, Reading, ReadPrompt


class Reader:
    """Reads prompts.

    Args:
        model: Reads.
        meter: Told how long pictures and questions took.
        clock: Seconds, monotonic.
        passes: Of the model, for what is to be read.
        caches: Of what was seen and read before.

    Attributes:
        pace: Of whole prompts, lately.
    """

    def __init__(
        self,
        model: ModelFamily,
        meter: EngineMeter,
        clock: Callable[[], float],
        passes: Passes,
        caches: Caches,
    ) -> None:
        self._model = model
        self._meter = meter
        self._clock = clock
        self._passes = passes
        self._caches = caches
        self.pace = ReadingPace()

    def begin(self, job: AnyJob) -> Reading:
        """A reading of which no piece was done yet."""
        now_s = self._clock()
        reading = Reading(job, now_s, now_s, is_apart=job.is_second_try)
        reading.pieces = (
            self._read(reading, job) if isinstance(job, Job) else self._judge(reading, job)
        )
        return reading

    def should_wait(self, job: AnyJob, company: Iterable[Reading]) -> bool:
        """Whether much of a job's prompt will be known when those are read that is not now."""
        others = [one.job.prompt for one in company if isinstance(one.job, Job)]  # which are kept
        return self._caches.prefixes.num_gained(job.prompt, others) >= LEAST_TOKENS

    def prepare(self, reading: Reading) -> None:
        """Do a piece of what comes before the rest of a prompt; nothing where that comes next."""
        if reading.rest is None:
            self._advance(reading, None)

    def read(self, reading: Reading) -> None:
        """Make a pass over the rest of a prompt, or over as much of it as is bearable."""
        logits = self._passes.over_one(reading)
        if logits is not None:
            self.take(reading, logits)

    def take(self, reading: Reading, logits: Tensor) -> None:
        """Let a reading go on whose rest was read, with the logits (1, V) after it."""
        reading.rest = None
        self._advance(reading, logits)

    def _advance(self, reading: Reading, logits: Tensor | None) -> None:
        began_s = self._clock()
        try:
            reading.rest = reading.pieces.send(logits)
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
        logits = yield Stretch(rest, begun.kv_cache)
        assert logits is not None
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
            yield Stretch(shared, begun.kv_cache)
        # A stream's next look has other frames: keeping these would only drive others out.
        prefixes.keep(prompt, begun.kv_cache, min(num_shared, prompt.num_tokens_ahead))
        position = int(begun.embedded.positions[0, num_shared])
        found: list[Tensor] = []
        pass_tokens = min(PASS_TOKENS, self._passes.chunk_size(job))
        for group in in_passes(rests, pass_tokens):
            yield None
            began_s = self._clock()
            found += last_logits(self._model, group, position, begun.kv_cache)
            self._meter.prefill_s.count(self._passes.elapsed_s(began_s))
        return found

    def _read_one_by_one(self, reading: Reading, job: JudgeJob) -> Pieces[list[Tensor]]:
        """Likewise, where they share nothing, or not all of their pictures."""
        found = []
        for prompt in job.prompts:
            read = yield from self._read_whole(reading, prompt)
            found.append(read.logits)
            yield None
        return found

    @cached_property
    def _yes_no(self) -> YesNo:
        return YesNo.of(self._model.tokenizer.backend_tokenizer)

    def _encode(self, reading: Reading, prompt: Prompt, num_known: int) -> Pieces[list[Tensor]]:
        """The visual tokens (T, D) of a prompt's media; blank ones where they are known."""
        visuals = prompt.visuals
        num_blank = prompt.num_visuals_within(num_known)
        encoding = self._model.encoding(visuals[num_blank:], self._caches.features)
        num_pictures = sum(len(visual.pictures) for visual in visuals[num_blank:])
        while not encoding.is_done:
            if num_pictures > 1:  # others may be more urgent than many
                yield None
            began_s = self._clock()
            encoding.step()
            self._meter.encode_s.count(self._passes.elapsed_s(began_s))
        reading.num_cached = num_known + encoding.num_cached_tokens
        blanks = [self._model.blank_block(visual) for visual in visuals[:num_blank]]
        return blanks + encoding.blocks()
