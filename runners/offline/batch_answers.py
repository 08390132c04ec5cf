"""Answers to the lines of a batch: by the chat route's own code, in order, the same in every run.

Nothing that differs between two runs is in an answer: ids and seeds come from the input, and times
are left out, so that ``created`` is 0; nor does any token count as cached.

Source: OpenAI API reference, "The request output object" of the Batch API.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace

from api.chat_reply import Reply, reply_json
from api.chat_request import OPENAI_RULES, ChatRequest, read_chat
from api.dialects import openai_body
from api.fallback import public_error, server_error
from api.generation import Question
from api.replies import Json
from contracts.errors import (
    ModelLoading,
    ModelUnavailable,
    ServiceError,
    ShuttingDown,
    UnsupportedParameter,
)
from runners.offline.batch_lines import BatchRequest, InputLine, LineFault, read_line
from runners.offline.session import Session

logger = logging.getLogger(__name__)

NO_TIME = 0  # ``created`` of every answer
FATAL = (ModelLoading, ModelUnavailable, ShuttingDown)  # nobody can answer any line any more


@dataclass(frozen=True, slots=True)
class Answered:
    """One line of output; ``unused`` names what was accepted and had no effect."""

    line: bytes
    is_failed: bool
    unused: tuple[str, ...] = ()


async def answers_in_order(
    session: Session, lines: Iterator[InputLine], seen: set[str], concurrency: int
) -> AsyncGenerator[Answered, None]:
    """An answer for each line, in their order; later ones are computed meanwhile and wait."""
    slots = asyncio.Semaphore(concurrency)
    window: deque[asyncio.Task[Answered]] = deque()
    try:
        while (line := await asyncio.to_thread(next, lines, None)) is not None:
            asked = await asyncio.to_thread(read_line, line, seen)
            window.append(asyncio.create_task(_answer(session, line, asked, slots)))
            if len(window) >= 2 * concurrency:
                yield await window.popleft()
        while window:
            yield await window.popleft()
    finally:
        for task in window:
            task.cancel()
        await asyncio.gather(*window, return_exceptions=True)


async def _answer(
    session: Session, line: InputLine, asked: BatchRequest | LineFault, slots: asyncio.Semaphore
) -> Answered:
    if isinstance(asked, LineFault):
        fault: Json = {"code": asked.code, "message": asked.message}
        return Answered(_written(line, asked.custom_id, None, fault), is_failed=True)
    request_id = f"req_{line.digest}"
    try:
        async with slots:
            chat, body = await _complete(session, line, asked, request_id)
        unused = (*asked.unused, *chat.ignored)
        return Answered(_response(line, asked, request_id, 200, body), False, unused)
    except FATAL:
        raise
    except ServiceError as exc:
        error = public_error(exc, request_id)
    except Exception:
        logger.exception("request %s failed", request_id)
        error = server_error(request_id)
    body = openai_body(error)
    return Answered(_response(line, asked, request_id, error.status, body), is_failed=True)


async def _complete(
    session: Session, line: InputLine, asked: BatchRequest, request_id: str
) -> tuple[ChatRequest, Json]:
    """Read a body, ask it and render the reply as the chat route does."""
    settings = session.deps.settings
    chat = await asyncio.to_thread(read_chat, asked.body, OPENAI_RULES, settings)
    if chat.is_streamed:
        raise UnsupportedParameter("stream: expected false or none in a batch", param="stream")
    sampling = chat.sampling
    if sampling.seed is None:
        sampling = replace(sampling, seed=line.seed)
    reply_id = f"chatcmpl-{line.digest}"
    question = Question(reply_id, request_id, chat.draft, sampling, time.monotonic())
    async with session.generate(question) as generation:
        answer = await generation.answer()
        answer = replace(answer, usage=replace(answer.usage, cached=0))
        reply = Reply(session.deps, reply_id, NO_TIME, chat, generation, request_id)
        body = reply_json(reply, answer)
    del body["timings"]
    return chat, body


def _response(
    line: InputLine, asked: BatchRequest, request_id: str, status: int, body: Json
) -> bytes:
    response: Json = {"status_code": status, "request_id": request_id, "body": body}
    return _written(line, asked.custom_id, response, None)


def _written(
    line: InputLine, custom_id: str | None, response: Json | None, error: Json | None
) -> bytes:
    """The line of output, ASCII, so that any reader splits it where we do."""
    answer = {"id": line.id, "custom_id": custom_id, "response": response, "error": error}
    return json.dumps(answer, allow_nan=False).encode() + b"\n"
