"""A request for text, and the text as it comes."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from contracts.answer_forms import AnswerForm
from contracts.chat import ChatMessage
from contracts.engine_stats import EngineStats
from contracts.judging import Judge
from contracts.media import FramePolicy
from contracts.work_class import WorkClass

ModelState = Literal["loading", "ready", "failed"]
Judging = Literal["likelihood", "text"]


class FinishReason(StrEnum):
    """Why a choice ended: its end token or a stop string, or the bound on its length."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen.

    Attributes:
        max_tokens: Upper bound on generated tokens; also cut to the room in the context.
        min_tokens: End tokens and stop strings do not count before it.
        temperature: 0 is greedy.
        top_p: Keep the likeliest tokens that hold this share, (0, 1].
        top_k: Keep this many; 0 is off.
        min_p: Keep tokens at least this likely relative to the likeliest; 0 is off.
        frequency_penalty: Subtracted per earlier use of a token in this answer, -2 to 2.
        presence_penalty: Subtracted once for a token used in this answer, -2 to 2.
        repetition_penalty: Divides (or multiplies, below 0) logits of used tokens; 1 is off.
        logit_bias: Added to the logits of token ids.
        stop: Texts that end the answer and are not part of it.
        stop_token_ids: Tokens that end the answer.
        seed: Choice ``i`` draws from its own numbers under this seed.
        num_choices: Answers to one prompt.
        logprobs: Whether to report log-probabilities of the raw distribution.
        top_logprobs: How many alternatives to report with each token, 0 to 20.
        form: What the answer must be; tokens that lead elsewhere are never drawn. An answer that
            cannot go on ends, also before ``min_tokens``.
    """

    max_tokens: int = 1024
    min_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    seed: int | None = None
    num_choices: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    form: AnswerForm | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One conversation to continue.

    ``deadline_s`` is on the clock of ``time.monotonic``.
    """

    request_id: str
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    deadline_s: float
    work_class: WorkClass = "chat"


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """How many tokens of a prompt are text, pictures and clips.

    ``is_estimated`` says that whoever runs the model does not tell.
    """

    text: int = 0
    image: int = 0
    video: int = 0
    is_estimated: bool = False

    @property
    def total(self) -> int:
        """All tokens of the prompt."""
        return self.text + self.image + self.video


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a request; ``cached`` counts prompt tokens that were not computed again."""

    prompt: PromptTokens
    cached: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a request's seconds went."""

    queue_s: float = 0.0
    encode_s: float = 0.0
    prefill_s: float = 0.0
    generate_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have been chosen; its bytes need not be whole characters."""

    token: str
    logprob: float
    token_bytes: bytes


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """The chosen token, and the likeliest ones at its place."""

    chosen: Alternative
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenDelta:
    """The next piece of an answer.

    The first delta of a request has no text and means that it was admitted: whatever can be
    refused was refused before. ``finish_reason`` is set on the last delta of its choice, ``usage``
    and ``timings`` on the first and on the last delta of the request.
    """

    text: str = ""
    choice_index: int = 0
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    usage: Usage | None = None
    timings: Timings | None = None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is served.

    Attributes:
        root: Hub id or the directory's last name, never a path.
        context_length: Tokens of prompt and answer together; ``None`` where a server does not say.
        frame_policy: How the model takes frames.
        knows_video: Whether it was trained on clips.
        batches: Whether requests are computed together; else one waits for the other.
        judging: By what yes and no are told apart: by the likelihood of the answer's first token,
            or, at a server that tells none, by the answer's text.
        device: Where it is; empty: as the settings say.
        quantization: Of its weights, likewise.
    """

    root: str
    context_length: int | None
    frame_policy: FramePolicy
    knows_video: bool = True
    batches: bool = True
    judging: Judging = "likelihood"
    device: str = ""
    quantization: str = ""


class ModelRunner(Judge, Protocol):
    """Continues conversations and judges clips. Safe to call from many tasks of one event loop."""

    @property
    def card(self) -> ModelCard | None:
        """What is served; ``None`` until it is loaded."""
        ...

    @property
    def state(self) -> ModelState:
        """``ready`` when the model is loaded and its engine turns."""
        ...

    @property
    def progress(self) -> float:
        """How much of the model is loaded, 0 to 1."""
        ...

    def require_card(self) -> ModelCard:
        """What is served.

        Raises:
            ModelLoading, ModelUnavailable: Nothing yet, or no more; the message says why.
        """
        ...

    async def start(self) -> None:
        """Begin to load; returns at once."""
        ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        """Stream the answer; closing the iterator ends the work within one step.

        Raises:
            ModelLoading, ModelUnavailable, ShuttingDown, QueueFull: Before the first delta.
            ContextLengthExceeded: Likewise.
            RequestTimeout: When the deadline passes, also later.
        """
        ...

    async def count_tokens(self, messages: tuple[ChatMessage, ...]) -> PromptTokens:
        """Count the tokens of the prompt that ``generate`` would build."""
        ...

    def stats(self) -> EngineStats:
        """What was done so far; cheap, from any thread, also before anything is loaded."""
        ...

    async def close(self) -> None:
        """End running work with ``ShuttingDown`` and free the device."""
        ...
