"""The runner whose model is elsewhere: any server that speaks OpenAI's chat API.

A vLLM cluster, Ollama, llama.cpp, DashInfer, OpenAI itself or another Lookout: this machine keeps
the cameras, that one the model. Imports no torch. Belongs to one event loop.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from contracts.chat import ChatMessage, VideoPart
from contracts.engine_stats import EngineStats
from contracts.errors import ModelUnavailable, ServiceError, ShuttingDown
from contracts.generation import (
    GenerationRequest,
    ModelCard,
    ModelState,
    PromptTokens,
    TokenDelta,
)
from contracts.judging import Judgement, JudgeRequest
from contracts.media import FramePolicy
from contracts.settings import DEMO_MODEL, Settings
from runners.answer_meter import AnswerMeter, counted
from runners.deadline import within
from runners.places import Places
from runners.remote.answer import GrowingAnswer
from runners.remote.connection import ServerConnection
from runners.remote.conversation import ClipForm, ConversationWriter, Json
from runners.remote.estimate import estimated_tokens, prompt_tokens
from runners.remote.judging import RemoteJudge
from runners.remote.parameters import sampling_fields
from runners.remote.pictures import JpegEncoder
from runners.remote.refusal import Refusal
from runners.remote.server_model import ServerModel
from runners.remote.watch import ServerWatch
from runners.remote.wire import WireProbe, WireTokens, WireUsage

NUM_FRAMES = 8  # of a clip, when a client does not say: what most models were trained on or with
CHAT = "/chat/completions"
STREAMED: Json = {"stream": True, "stream_options": {"include_usage": True}}
REMOTE = "remote"  # in the place of a device
NO_SUCH_ROUTE = (404, 405, 501)
STOPPING = "the service is stopping; send the request again in a moment"


class OpenAIRunner:
    """A ``ModelRunner`` that asks another server.

    Args:
        settings: Where it is, its key, the model's name there, how many requests at a time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = ServerConnection(settings.openai_url, settings.openai_key)
        wanted = None if settings.model == str(DEMO_MODEL) else settings.model
        self._places = Places(settings.openai_concurrency, max_waiting=settings.max_queue)
        self._judge = RemoteJudge(self._connection, self._places, settings.known_mass)
        self._watch = ServerWatch(self._connection, wanted, on_return=self._judge.forget)
        self._encoder = JpegEncoder(settings.openai_jpeg_quality, settings.openai_frame_px)
        self._is_closing = False

    @property
    def card(self) -> ModelCard | None:
        """What was served when the server was last there; ``None`` before."""
        return None if self._watch.model is None else self._card_of(self._watch.model)

    @property
    def state(self) -> ModelState:
        """As the server was when it was last looked at, some seconds ago."""
        return self._watch.state

    @property
    def progress(self) -> float:
        """All or nothing: a server does not tell how far it is."""
        return float(self.state == "ready")

    def require_card(self) -> ModelCard:
        """What is served; see ``ModelRunner``."""
        return self._card_of(self._watch.require())

    async def start(self) -> None:
        """Begin to look at the server."""
        self._watch.start()

    async def close(self) -> None:
        """End running work and every connection."""
        self._is_closing = True
        await self._watch.close()
        await self._connection.close()

    def stats(self) -> EngineStats:
        """What was asked of the server so far, as it looks from here."""
        return self._places.stats()

    async def count_tokens(self, messages: tuple[ChatMessage, ...]) -> PromptTokens:
        """Have another Lookout or vLLM count; of other servers' prompts there is an estimate."""
        model, estimate = self._watch.require(), self._estimate(messages)
        if model.kind == "other":
            return estimate
        async with within(self._latest_s()), self._told_in_our_words():
            body = await self._body(model, messages, {})
            try:
                return await self._counted(model, body, estimate)
            except Refusal as exc:
                if exc.status not in NO_SUCH_ROUTE:
                    raise
                return estimate

    def generate(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        """Stream the answer; see ``ModelRunner``."""
        meter = AnswerMeter(self._places.meter, request.work_class)
        return counted(self._answer(request), meter, deadline_s=request.deadline_s)

    async def judge(self, request: JudgeRequest) -> list[Judgement]:
        """Judge a clip; see ``Judge``."""
        model = self._watch.require()
        meter, began_s = self._places.meter, time.monotonic()
        estimate = self._estimate((ChatMessage("user", (VideoPart(request.clip),)),))

        def count(usage: WireUsage) -> None:
            details = usage.prompt_tokens_details
            tokens = prompt_tokens(usage.prompt_tokens, details, estimate)
            meter.count_prompt(tokens, num_cached=(details and details.cached_tokens) or 0)

        async with within(min(request.deadline_s, self._latest_s())), self._told_in_our_words():
            clip = await asyncio.to_thread(self._writer(model).clip, request.clip)
            judgements = await self._judge.judge(model.name, clip, request.questions, count)
        meter["alert"].first_token_s.count(time.monotonic() - began_s)
        return judgements

    async def _answer(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        model = self._watch.require()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._told_in_our_words())
            queue_s = await stack.enter_async_context(self._places.taken(request.work_class))
            answer = GrowingAnswer(
                request.sampling.num_choices,
                self._estimate(request.messages),
                sent_s=time.monotonic(),
                queue_s=queue_s,
            )
            events = await self._events(stack, model, request)
            yield answer.first()
            async for event in events:
                for delta in answer.push(event):
                    yield delta
            yield answer.last()

    async def _events(
        self, stack: AsyncExitStack, model: ServerModel, request: GenerationRequest
    ) -> AsyncIterator[bytes]:
        """Send the request; its answer's events, once the server took it.

        A server that has less room than ``max_tokens`` may refuse; without that bound the room
        is its own bound.
        """
        fields = sampling_fields(request.sampling, model) | STREAMED
        body = await self._body(model, request.messages, fields)
        try:
            return await stack.enter_async_context(self._connection.events(CHAT, body))
        except Refusal as exc:
            if not exc.is_too_long or fields.pop("max_tokens", None) is None:
                raise
        body = await self._body(model, request.messages, fields)
        return await stack.enter_async_context(self._connection.events(CHAT, body))

    async def _counted(
        self, model: ServerModel, body: bytes, estimate: PromptTokens
    ) -> PromptTokens:
        if model.kind == "vllm":
            tokens = await self._connection.post("//tokenize", body, WireTokens)
            return prompt_tokens(tokens.count, None, estimate)
        probe = await self._connection.post("/media/probe", body, WireProbe)
        counted = prompt_tokens(probe.prompt_tokens, probe.prompt_tokens_details, estimate)
        return replace(counted, is_estimated=probe.estimated)

    async def _body(
        self, model: ServerModel, messages: tuple[ChatMessage, ...], fields: Json
    ) -> bytes:
        """A request's body, pictures and all; in a thread, for they may be many."""
        writer = self._writer(model)

        def write() -> bytes:
            said = writer.messages(messages)
            return json.dumps({"model": model.name, "messages": said, **fields}).encode()

        return await asyncio.to_thread(write)

    def _writer(self, model: ServerModel) -> ConversationWriter:
        wish = self._settings.openai_clips
        by_itself: ClipForm = "video" if model.kind == "lookout" else "images"
        return ConversationWriter(self._encoder, by_itself if wish == "auto" else wish)

    @asynccontextmanager
    async def _told_in_our_words(self) -> AsyncIterator[None]:
        """Turn what a server refuses into our errors; one that is away is looked at again."""
        try:
            yield
        except (Refusal, ServiceError) as exc:
            if self._is_closing:
                raise ShuttingDown(STOPPING) from None
            error = exc.error() if isinstance(exc, Refusal) else exc
            if isinstance(error, ModelUnavailable):
                self._watch.look_now()
            raise error from None

    def _estimate(self, messages: tuple[ChatMessage, ...]) -> PromptTokens:
        return estimated_tokens(messages, max_side_px=self._settings.openai_frame_px)

    def _latest_s(self) -> float:
        """The deadline of what has none of its own."""
        return time.monotonic() + self._settings.request_timeout_s

    def _card_of(self, model: ServerModel) -> ModelCard:
        frames = FramePolicy(num_frames=NUM_FRAMES)
        return ModelCard(
            model.root,
            model.context_length,
            frames,
            judging=self._judge.judging,
            device=REMOTE,
        )
