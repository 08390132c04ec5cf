"""The default runner: a checkpoint on transformers classes, on this machine's device.

Loads on the device thread while the service already answers; bridges the engine's thread to the
event loop. Knows which families there are, not how they compute.
"""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from contracts.answer_forms import AnswerForm
from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.engine_stats import EngineStats
from contracts.errors import (
    ModelLoading,
    ModelUnavailable,
    RequestError,
    ServiceError,
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
from contracts.settings import Settings
from llava_custom import Prompt
from llava_custom.device_memory import free_bytes, gpu_memory
from llava_custom.kv_rows import has_known_layers
from runners.caches import Caches
from runners.context_room import room_in
from runners.deadline import tell_when_late
from runners.engine import Engine
from runners.family import ModelFamily
from runners.grammars import Grammar, GrammarCompiler
from runners.hand_over import HandOver
from runners.jobs import Job, JudgeJob
from runners.limits import EngineLimits
from runners.loading import check_model, load_model, load_options
from runners.model_root import model_root
from runners.trimming import Trimming

logger = logging.getLogger(__name__)

MAX_TURN_S = 30  # an engine that has not turned for so long is not ready
JOIN_S = 30  # how long close waits for the step that is running
SHORT_CHARS = 500  # are planned in less than a millisecond,
SMALL_BYTES = 65_536  # and pixels told apart in a tenth; a thread would take as long

Item = TypeVar("Item")
Planned = TypeVar("Planned")


class TransformersRunner:
    """A ``ModelRunner`` that computes here.

    Args:
        settings: Which checkpoint, how to load it, how many may wait.

    Raises:
        WeightsError: The checkpoint's configuration is not one this program can run.
    """

    def __init__(self, settings: Settings) -> None:
        check_model(settings.model)
        self._settings = settings
        self._model: ModelFamily | None = None
        self._card: ModelCard | None = None
        self._engine: Engine | None = None
        self._failure: str | None = None
        self._hand_over = HandOver()
        self._trimming = Trimming(time.monotonic)
        self._progress = 0.0
        self._planner = ThreadPoolExecutor(1, thread_name_prefix="planner")
        self._compiler: GrammarCompiler | None = None
        self._compiling = ThreadPoolExecutor(1, thread_name_prefix="grammars")
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self._is_closing = threading.Event()

    @property
    def card(self) -> ModelCard | None:
        """What is served; ``None`` until it is loaded."""
        return self._card

    @property
    def state(self) -> ModelState:
        """``failed`` also when the engine has stopped, or has not turned for half a minute."""
        if self._failure is None and self._engine is None:
            return "loading"
        turns = self._engine is not None and self._engine.has_turned_within(MAX_TURN_S)
        return "ready" if turns and self._thread.is_alive() else "failed"

    @property
    def progress(self) -> float:
        """How much of the weights is loaded, 0 to 1, by bytes."""
        return self._progress if self._model is None else 1.0

    def require_card(self) -> ModelCard:
        """What is served; see ``ModelRunner``."""
        self._loaded()
        assert self._card is not None  # set before the model is
        return self._card

    async def start(self) -> None:
        """Begin to load on the device thread."""
        self._thread.start()

    async def close(self) -> None:
        """End running work and wait for the device thread."""
        self._is_closing.set()
        if self._engine is not None:
            self._engine.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, JOIN_S)
        gc.unfreeze()  # else what holds the model is never looked at
        for executor in (self._planner, self._compiling):
            executor.shutdown(wait=False, cancel_futures=True)

    def stats(self) -> EngineStats:
        """What the engine did so far."""
        stats = EngineStats() if self._engine is None else self._engine.stats()
        return replace(stats, gpu_memory=gpu_memory())

    async def count_tokens(self, messages: tuple[ChatMessage, ...]) -> PromptTokens:
        """Count the tokens of the prompt; cheap, no pixel is touched."""
        return (await self._plan(self._loaded(), messages)).tokens

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        """Stream the answer; see ``ModelRunner``."""
        model = self._loaded()
        _check_token_ids(request.sampling, model.vocab_size)
        prompt = await self._plan(model, request.messages)
        room = room_in(prompt.tokens, model.context_length)
        max_tokens = min(request.sampling.max_tokens, room)
        grammar = await self._grammar(request.sampling.form)
        await self._tell_media_apart(prompt)
        items: asyncio.Queue[TokenDelta | ServiceError | None] = asyncio.Queue()
        job = Job(request, prompt, max_tokens, self._hand_over.listener(items), grammar)
        assert self._engine is not None  # set before the model is
        self._engine.submit(job)
        late = tell_when_late(request.deadline_s, items)
        try:
            while (item := await items.get()) is not None:
                if isinstance(item, ServiceError):
                    raise item
                yield item
        finally:
            late.cancel()
            job.cancel()

    async def judge(self, request: JudgeRequest) -> list[Judgement]:
        """Judge a clip; see ``Judge``."""
        model = self._loaded()
        asked = [_ask(request, question) for question in request.questions]
        prompts = await self._planned(lambda: [model.plan(messages) for messages in asked])
        for prompt in prompts:
            room_in(prompt.tokens, model.context_length)
        items: asyncio.Queue[list[Judgement] | ServiceError] = asyncio.Queue()
        listener = self._hand_over.listener(items)
        known_mass = self._settings.known_mass
        job = JudgeJob(tuple(prompts), known_mass, listener, request.deadline_s)
        await self._tell_media_apart(job.prompt)
        assert self._engine is not None  # set before the model is
        self._engine.submit(job)
        late = tell_when_late(request.deadline_s, items)
        try:
            item = await items.get()
        finally:
            late.cancel()
            job.cancel()
        if isinstance(item, ServiceError):
            raise item
        return item

    def _card_of(self, model: ModelFamily) -> ModelCard:
        return ModelCard(
            model_root(self._settings.model),
            model.context_length,
            model.frame_policy,
            model.knows_video,
            batches=has_known_layers(model.new_kv_cache()),
            device=", ".join(model.report.places),
            quantization=model.report.need.scheme.quantization,
        )

    def _loaded(self) -> ModelFamily:
        if self._failure is not None:
            raise ModelUnavailable(f"the model could not be loaded: {self._failure}")
        if self._model is None:
            raise ModelLoading("the model is still loading; try again in a few seconds")
        if not self._thread.is_alive():
            raise ModelUnavailable("the engine has stopped; the service must be restarted")
        return self._model

    async def _plan(self, model: ModelFamily, messages: tuple[ChatMessage, ...]) -> Prompt:
        if sum(len(message.text) for message in messages) <= SHORT_CHARS:
            return model.plan(messages)
        return await self._planned(lambda: model.plan(messages))

    async def _planned(self, plan: Callable[[], Planned]) -> Planned:
        """Plan on one thread of its own: a million characters must not hold up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._planner, plan)

    async def _grammar(self, form: AnswerForm | None) -> Grammar | None:
        """Compile on a thread of its own, beside the event loop, the planner and the device."""
        if form is None:
            return None
        assert self._compiler is not None  # set before the model is
        compile_form = self._compiler.compile
        return await asyncio.get_running_loop().run_in_executor(self._compiling, compile_form, form)

    async def _tell_media_apart(self, prompt: Prompt) -> None:
        """Read all pixels, many of them on some thread: that of the device has better to do."""
        if sum(rgb.nbytes for visual in prompt.visuals for rgb in visual.pictures) <= SMALL_BYTES:
            prompt.tell_media_apart()
        else:
            await asyncio.to_thread(prompt.tell_media_apart)

    def _note_progress(self, share: float) -> None:
        self._progress = share

    def _flush(self) -> None:
        self._hand_over.flush()
        self._trimming.run_if_due()

    def _run(self) -> None:
        """The device thread: load, then compute until closed."""
        began_s = time.monotonic()
        try:
            model = load_model(
                self._settings.model, load_options(self._settings, self._note_progress)
            )
        except ServiceError as exc:
            self._failure = exc.message
            logger.error("the model could not be loaded: %s", exc.message)
            return
        except Exception:
            self._failure = "see the log"
            logger.exception("the model could not be loaded (server_error)")
            return
        name, context_length = self._settings.served_name, model.context_length
        seconds = time.monotonic() - began_s
        table = model.report.table(name, context_length=context_length, seconds=seconds)
        logger.info("loaded\n%s", table)
        limits = _limits(self._settings, model)
        caches = Caches.of(self._settings)
        self._compiler = GrammarCompiler(
            model.tokenizer, vocab_size=model.vocab_size, eos_token_ids=model.eos_token_ids
        )
        self._card = self._card_of(model)
        gc.collect()
        gc.freeze()  # later looks for garbage pass over what is loaded
        self._engine = Engine(model, limits, self._flush, caches)
        self._model = model
        if not self._is_closing.is_set():
            self._engine.run()


def _ask(request: JudgeRequest, question: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage("user", (VideoPart(request.clip), TextPart(question))),)


def _limits(settings: Settings, model: ModelFamily) -> EngineLimits:
    """What the engine may take on, with what is free now that the model is loaded."""
    kv_bytes = settings.kv_cache_mb * 1_000_000 or free_bytes(model.device) // 2
    return EngineLimits(settings.max_queue, settings.max_batch, kv_bytes)


def _check_token_ids(sampling: SamplingParams, vocab_size: int) -> None:
    """Refuse ids of no token; on CUDA, one such index would end the device for everybody.

    Raises:
        RequestError: An id is outside the vocabulary.
    """
    asked: dict[str, Iterable[int]] = {
        "logit_bias": sampling.logit_bias,
        "stop_token_ids": sampling.stop_token_ids,
    }
    for name, token_ids in asked.items():
        unknown = [token_id for token_id in token_ids if not 0 <= token_id < vocab_size]
        if unknown:
            message = f"{name}: expected token ids from 0 to {vocab_size - 1}, got {unknown[0]}"
            raise RequestError(message, param=name)
