"""The answers that are being written: one decode step for all their choices.

Runs on the device thread. Knows nothing of what waits. Whatever fails is an exception for all, or
the matter of one answer alone: see ``Running.step``.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from contracts.errors import ServiceError
from contracts.generation import Timings, TokenDelta, Usage
from contracts.work_class import WorkClass
from llava_custom.kv_rows import KvRows, capacity_for
from llava_custom.symbols import symbols_of
from runners.attempts import attempted, repeated
from runners.drawing import draw
from runners.engine_meter import EngineMeter
from runners.family import ModelFamily
from runners.jobs import AnyJob, Job
from runners.lone_rows import LoneRows
from runners.reading import ReadPrompt
from runners.sequence import Sequence as Tokens
from runners.token_sampling import DrawnToken

FIRST_ROOM = 64  # tokens that a new row has room for at least, or as many as it may write


@dataclass(slots=True, eq=False)
class Answer:
    """All choices of a job, from the first token to the last.

    Attributes:
        num_cached: Tokens of the prompt that were not computed again.
        next_position: Where the first token stands.
        timings: Of what came before.
        prefilled_s: When the prompt was read.
        num_drawn: Tokens of all choices.
        rows: Of the choices that still run.
    """

    job: Job
    num_cached: int
    next_position: int
    timings: Timings
    prefilled_s: float
    num_drawn: int = 0
    rows: list[int] = field(default_factory=list)

    def closing(self, delta: TokenDelta) -> TokenDelta:
        """The request's last delta, with what it used and took."""
        usage = Usage(self.job.prompt.tokens, self.num_cached, self.num_drawn)
        generate_s = time.monotonic() - self.prefilled_s
        return replace(delta, usage=usage, timings=replace(self.timings, generate_s=generate_s))


@dataclass(slots=True, eq=False)
class Choice:
    """One row of the batch.

    Attributes:
        drawn_s: When its last token was drawn.
    """

    answer: Answer
    tokens: Tokens
    drawn_s: float

    @property
    def last_token(self) -> tuple[int, int]:
        """The token that was drawn last, and where it stands."""
        return self.tokens.last_token_id, self.answer.next_position + self.tokens.num_tokens - 1


class Running:
    """The batch.

    Args:
        model: Computes.
        kv_rows: Empty.
        meter: Told of every token.
    """

    def __init__(self, model: ModelFamily, kv_rows: KvRows | LoneRows, meter: EngineMeter) -> None:
        self.answers: list[Answer] = []
        self._model = model
        self._kv_rows = kv_rows
        self._meter = meter
        self._choices: dict[int, Choice] = {}

    @property
    def num_choices(self) -> int:
        """Rows of the batch."""
        return len(self._choices)

    @property
    def kv_bytes_per_token(self) -> int:
        """Memory of one token of one choice, as the model has it or as it is held."""
        return max(self._model.kv_bytes_per_token, self._kv_rows.bytes_per_token)

    @property
    def kv_bytes(self) -> int:
        """Memory of keys and values."""
        return self._kv_rows.num_bytes(self._kv_rows.order)

    def num_by_class(self) -> Counter[WorkClass]:
        """Rows by class."""
        return Counter(choice.answer.job.work_class for choice in self._choices.copy().values())

    def begin(self, answer: Answer, read: ReadPrompt) -> list[Answer]:
        """Let an answer join, and draw its first tokens; the answers that ended by it."""
        job = answer.job
        sequences = self._sequences(job)
        rows = self._kv_rows.add(
            read.kv_cache,
            num_rows=len(sequences),
            room=min(job.max_tokens, FIRST_ROOM),
            symbols=symbols_of(job.prompt),
        )
        answer.rows = list(rows)
        self.answers.append(answer)
        choices = [Choice(answer, tokens, answer.prefilled_s) for tokens in sequences]
        self._choices.update(zip(rows, choices, strict=True))
        meter = self._meter[job.work_class]
        meter.first_token_s.count(time.monotonic() - job.submitted_s)
        logits = read.logits.expand(len(rows), -1)
        return self._hand_out(rows, draw([one.sampler for one in sequences], logits))

    def step(self) -> list[Answer]:
        """One more token of every choice; the answers that ended by it.

        Raises:
            Exception: The step failed, for all of them; out of memory, it can be taken again.
        """
        can_repeat = isinstance(self._kv_rows, KvRows)  # until it is committed
        drawn = repeated(self._drawn) if can_repeat else self._drawn()
        rows = self._kv_rows.order
        self._kv_rows.commit()
        return self._hand_out(rows, drawn)

    def _drawn(self) -> list[DrawnToken | ServiceError]:
        """What the next step gives each row, nothing taken yet."""
        step = self._kv_rows.next_step()
        rows = self._kv_rows.order
        last_tokens = [self._choices[row].last_token for row in rows]
        steps = torch.tensor(last_tokens, device=self._model.device)  # (B, 2): one copy
        token_ids, positions = steps.unbind(dim=1)
        logits = self._model.decode_step(token_ids, positions, step)
        samplers = [self._choices[row].tokens.sampler for row in rows]
        return draw(samplers, logits)  # waits for the device: what fails, fails here

    def remove(self, answer: Answer) -> None:
        """Let an answer leave, whatever is left of it."""
        self._leave(answer.rows)
        answer.rows = []
        self.answers.remove(answer)

    def largest(self) -> Answer:
        """The answer that holds most memory, the youngest of them."""
        return max(reversed(self.answers), key=self.bytes_of)

    def bytes_of(self, answer: Answer) -> int:
        """Memory of an answer's keys and values."""
        return self._kv_rows.num_bytes(answer.rows)

    def expected_bytes_of(self, answer: Answer) -> int:
        """Likewise, or what it will probably need, beside what others hold for it."""
        spared = self._kv_rows.num_bytes_spared(answer.rows)
        expected = answer.job.num_kv_tokens * self.kv_bytes_per_token - spared
        return max(expected, self.bytes_of(answer))

    def bytes_for(self, job: AnyJob) -> int:
        """Memory that a job's answers will probably take at their longest, or do at once."""
        num_tokens = job.num_kv_tokens
        if isinstance(job, Job):
            room = min(job.max_tokens, FIRST_ROOM)
            capacity = capacity_for(job.num_prompt_tokens + room)
            num_tokens = max(num_tokens, job.num_choices * capacity)
        return num_tokens * self.kv_bytes_per_token

    def _sequences(self, job: Job) -> list[Tokens]:
        sampling = job.request.sampling
        tokenizer, end_ids = self._model.tokenizer.backend_tokenizer, self._model.eos_token_ids
        return [
            Tokens(sampling, index, job.max_tokens, end_ids, tokenizer, job.new_mask())
            for index in range(sampling.num_choices)
        ]

    def _hand_out(
        self, rows: Sequence[int], drawn: Sequence[DrawnToken | ServiceError]
    ) -> list[Answer]:
        """Take the token that each row drew, and say what became certain."""
        choices = [self._choices[row] for row in rows]
        now_s = time.monotonic()
        over: list[int] = []
        failed: dict[Answer, ServiceError] = {}
        for row, choice, token in zip(rows, choices, drawn, strict=True):
            delta: TokenDelta | ServiceError
            if isinstance(token, ServiceError):
                delta = token
            else:
                delta = attempted(partial(choice.tokens.take, token))
            if isinstance(delta, ServiceError):
                failed[choice.answer] = delta
                continue
            self._count(choice, now_s)
            if delta.finish_reason is not None:
                over.append(row)
                choice.answer.rows.remove(row)
            self._say(choice.answer, delta)
        self._leave(over)
        for answer, error in failed.items():
            self.remove(answer)
            answer.job.listener(error)
        ended = [answer for answer in self.answers if not answer.rows]
        self.answers = [answer for answer in self.answers if answer.rows]
        return [*ended, *failed]

    def _say(self, answer: Answer, delta: TokenDelta) -> None:
        if not answer.rows:
            delta = answer.closing(delta)
        if delta.text or delta.logprobs or delta.finish_reason:
            answer.job.has_answered = True
            answer.job.listener(delta)
        if not answer.rows:
            answer.job.listener(None)

    def _count(self, choice: Choice, now_s: float) -> None:
        choice.answer.num_drawn += 1
        meter = self._meter[choice.answer.job.work_class]
        meter.num_generated += 1
        if choice.tokens.num_tokens > 1:
            meter.token_s.count(now_s - choice.drawn_s)
        choice.drawn_s = now_s

    def _leave(self, rows: Sequence[int]) -> None:
        for row in rows:
            del self._choices[row]
        if rows:
            self._kv_rows.remove(rows)
