"""Chat completions: ``/v1/chat/completions`` and its addresses under ``/api/v1``."""

import logging
import time
from collections.abc import AsyncGenerator
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.asking import admit, whole_answer
from api.body import Intake
from api.chat_reply import Reply, reply_json
from api.chat_request import JPS_RULES, OPENAI_RULES, ChatRules, read_chat
from api.deps import GetDeps, ServiceDeps
from api.dialects import openai_body
from api.fallback import public_error, server_error
from api.generation import Question
from api.openapi import chat_operation
from api.replies import Json, logprobs_json, media_info, new_id
from api.request_log import request_id_of
from api.sse import DONE, EventStream, event
from api.stream_parts import note_answer
from api.wire_schemas import ignored_header
from contracts.errors import ServiceError
from contracts.generation import TokenDelta
from contracts.previews import Previews

logger = logging.getLogger(__name__)

ROUTES = {
    "/v1/chat/completions": OPENAI_RULES,
    "/api/v1/chat/completions": JPS_RULES,
    "/api/v1/chat/completion": JPS_RULES,
}


def chat_routes(deps: GetDeps, intake: Intake) -> APIRouter:
    """The routes of chat completions."""
    router = APIRouter(tags=["chat"])

    def serve(path: str, rules: ChatRules) -> None:
        @router.post(path, **chat_operation(path))
        async def create_chat_completion(request: Request) -> Response:
            return await _complete(request, rules, deps(), intake)

    for path, rules in ROUTES.items():
        serve(path, rules)
    return router


async def _complete(
    request: Request, rules: ChatRules, deps: ServiceDeps, intake: Intake
) -> Response:
    body = await intake.json(request)
    asked = await body.read(partial(read_chat, rules=rules, settings=deps.settings))
    request_id = request_id_of(request.scope)
    question = Question(
        new_id("chatcmpl-"), request_id, asked.draft, asked.sampling, body.received_s
    )
    generation = await admit(request, question, deps, intake)
    reply = Reply(deps, question.id, int(time.time()), asked, generation, request_id)
    headers = ignored_header(asked.ignored)
    if asked.is_streamed:
        return EventStream(
            chat_events(reply, deps.previews),
            close=generation.aclose,
            keep_alive_s=deps.settings.sse_keepalive_s,
            headers=headers,
            patience_s=deps.patience_s,
        )
    answer = await whole_answer(request, generation, deps)
    return JSONResponse(reply_json(reply, answer), headers=headers)


async def chat_events(reply: Reply, previews: Previews) -> AsyncGenerator[bytes, None]:
    """One event per delta; a failure is an event too, and DONE always closes."""
    said, end = "", b""
    try:
        blank = _blank_chunk(reply)
        yield b"".join(event(chunk) for chunk in _first_chunks(reply, blank))
        async for delta in reply.generation:
            said += delta.text if delta.choice_index == 0 else ""
            if delta.text or delta.logprobs or delta.finish_reason:
                yield event(blank | {"choices": [_delta_choice(delta)]})
        if reply.asked.has_usage_chunk:
            end = event(blank | reply.cost(reply.generation.usage))
        note_answer(previews, reply.generation.messages, said)
    except ServiceError as exc:
        end = event(openai_body(public_error(exc, reply.request_id)))
    except Exception:  # the status is spent; a client that leaves passes through untouched
        logger.exception("request %s failed after its first byte", reply.request_id)
        end = event(openai_body(server_error(reply.request_id)))
    yield end + DONE


def _blank_chunk(reply: Reply) -> Json:
    """What all chunks of a reply have in common, in the order of their fields."""
    chunk: Json = reply.head("chat.completion.chunk") | {"choices": []}
    return chunk | {"usage": None} if reply.asked.has_usage_chunk else chunk


def _first_chunks(reply: Reply, blank: Json) -> list[Json]:
    opening: Json = {"role": "assistant", "content": ""}
    chunks = [
        blank | {"choices": [_choice(index, opening)]}
        for index in range(reply.generation.num_choices)
    ]
    chunks[0]["media_info"] = media_info(reply.generation.messages)
    return chunks


def _delta_choice(delta: TokenDelta) -> Json:
    said: Json = {"content": delta.text} if delta.text or delta.logprobs else {}
    choice = _choice(delta.choice_index, said)
    choice["logprobs"] = logprobs_json(delta.logprobs) if delta.logprobs else None
    choice["finish_reason"] = delta.finish_reason
    return choice


def _choice(index: int, delta: Json) -> Json:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
