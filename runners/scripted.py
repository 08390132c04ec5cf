"""A runner that says what it is told, for tests and for trying the HTTP surface without a model.

Not thread-safe: one event loop.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence

from contracts.chat import ChatMessage, ImagePart, VideoPart
from contracts.engine_stats import EngineStats
from contracts.errors import ModelLoading
from contracts.generation import (
    Alternative,
    FinishReason,
    GenerationRequest,
    ModelCard,
    ModelState,
    PromptTokens,
    Timings,
    TokenDelta,
    TokenLogprob,
    Usage,
)
from contracts.judging import Judgement, JudgeRequest
from contracts.media import FramePolicy

CARD = ModelCard(root="scripted", context_length=4096, frame_policy=FramePolicy(num_frames=8))


class ScriptedRunner:
    """Answers each request with the next script, piece by piece, and remembers the request.

    Every piece counts as one token. All choices of a request say the same.

    Args:
        replies: One for each request.
        card: What is served; ``None`` is loading for ever.
        judgements: For each request to judge, one for each of its questions.

    Attributes:
        requests: What was asked, in order.
        judge_requests: What was to be judged, in order.
        num_closed_early: Answers whose reader left before the end.
    """

    def __init__(
        self,
        *replies: Iterable[str],
        card: ModelCard | None = CARD,
        judgements: Iterable[Sequence[Judgement]] = (),
    ) -> None:
        self.card = card
        self.requests: list[GenerationRequest] = []
        self.judge_requests: list[JudgeRequest] = []
        self.num_closed_early = 0
        self._judgements = deque(judgements)
        self._replies = deque(replies)

    @property
    def state(self) -> ModelState:
        """Ready when it has a card."""
        return "ready" if self.card else "loading"

    @property
    def progress(self) -> float:
        """All or nothing."""
        return float(self.card is not None)

    def require_card(self) -> ModelCard:
        """The card; without one it is loading for ever."""
        if self.card is None:
            raise ModelLoading("the model is still loading: the script has no card")
        return self.card

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    def stats(self) -> EngineStats:
        """Nothing is counted."""
        return EngineStats()

    async def count_tokens(self, messages: tuple[ChatMessage, ...]) -> PromptTokens:
        """One token a word, a picture and a frame."""
        parts = [part for message in messages for part in message.parts]
        return PromptTokens(
            text=sum(len(message.text.split()) for message in messages),
            image=sum(isinstance(part, ImagePart) for part in parts),
            video=sum(len(part.clip.frames) for part in parts if isinstance(part, VideoPart)),
        )

    async def judge(self, request: JudgeRequest) -> list[Judgement]:
        """Hand out the next judgements; as many as there are questions."""
        self.require_card()
        self.judge_requests.append(request)
        judgements = list(self._judgements.popleft())
        assert len(judgements) == len(request.questions), "the script has others in mind"
        return judgements

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        """Say the next reply."""
        self.requests.append(request)
        prompt = await self.count_tokens(request.messages)
        pieces = list(self._replies.popleft())
        num_choices = request.sampling.num_choices
        try:
            yield TokenDelta(usage=Usage(prompt), timings=Timings())
            for choice_index in range(num_choices):
                for piece in pieces:
                    yield TokenDelta(
                        piece,
                        choice_index,
                        logprobs=_logprobs(piece) if request.sampling.logprobs else (),
                    )
                is_last = choice_index == num_choices - 1
                completion = len(pieces) * num_choices
                yield TokenDelta(
                    choice_index=choice_index,
                    finish_reason=FinishReason.STOP,
                    usage=Usage(prompt, completion=completion) if is_last else None,
                    timings=Timings() if is_last else None,
                )
        except GeneratorExit:
            self.num_closed_early += 1
            raise


def _logprobs(piece: str) -> tuple[TokenLogprob, ...]:
    return (TokenLogprob(Alternative(piece, 0.0, piece.encode())),)
