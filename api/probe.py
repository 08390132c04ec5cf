"""``POST /v1/media/probe``: what a request's media are and cost, without an answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from api.analyze import MULTIPART
from api.analyze_request import AnalyzeRequest, read_form_fields
from api.body import Intake, require_type
from api.chat_request import OPENAI_RULES, ChatRequest, read_chat
from api.client import while_client_stays
from api.deps import Deps, GetDeps
from api.drafts import media_parts
from api.forms import Form
from api.generation import Question, read_question
from api.openapi import probe_operation
from api.replies import Json, media_info, new_id, prompt_json
from api.request_log import request_id_of
from api.wire_schemas import ignored_header
from contracts.chat import ChatMessage, VideoPart
from contracts.errors import MediaKind
from contracts.generation import PromptTokens

PATH = "/v1/media/probe"
FILES: dict[str, MediaKind] = {"video": "video", "image": "image"}


def probe_routes(deps: GetDeps, intake: Intake) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["media"])

    @router.post(PATH, **probe_operation(PATH))
    async def probe_media(request: Request) -> JSONResponse:
        now = deps()
        async with _received(request, now, intake) as (asked, received_s):
            request_id = request_id_of(request.scope)
            question = Question(
                new_id("probe-"), request_id, asked.draft, asked.sampling, received_s
            )
            with intake.line() as claim, closing(claim):
                async with while_client_stays(request.receive):
                    messages = await read_question(now, question, claim)
                    prompt = await now.runner.count_tokens(messages)
            reply = probe_json(messages, prompt, now.runner.require_card().context_length)
            return JSONResponse(reply, headers=ignored_header(asked.ignored))

    return router


def probe_json(
    messages: tuple[ChatMessage, ...], prompt: PromptTokens, context_length: int | None
) -> Json:
    """What the media are, and whether the prompt leaves room for an answer, if that is known."""
    return {
        "object": "media.probe",
        "media_info": media_info(messages),
        "prompt_tokens": prompt.total,
        "prompt_tokens_details": prompt_json(prompt),
        "context_length": context_length,
        "fits": None if context_length is None else prompt.total < context_length,
        "max_frames_that_fit": _max_frames(messages, prompt, context_length),
        "estimated": prompt.is_estimated,
    }


def _max_frames(
    messages: tuple[ChatMessage, ...], prompt: PromptTokens, context_length: int | None
) -> int | None:
    frames = sum(
        len(part.clip.frames) for part in media_parts(messages) if isinstance(part, VideoPart)
    )
    if not frames or not prompt.video or context_length is None:
        return None
    room = context_length - 1 - (prompt.total - prompt.video)  # one token is for the answer
    return max(room * frames // prompt.video, 0)


@asynccontextmanager
async def _received(
    request: Request, deps: Deps, intake: Intake
) -> AsyncIterator[tuple[AnalyzeRequest | ChatRequest, float]]:
    if require_type(request, "application/json", MULTIPART) == MULTIPART:
        async with intake.form(request, FILES) as form:
            yield read_form_fields(form, _kind(form), deps.settings), form.received_s
    else:
        body = await intake.json(request)
        read = partial(read_chat, rules=OPENAI_RULES, settings=deps.settings)
        yield await body.read(read), body.received_s


def _kind(form: Form) -> MediaKind:
    return "image" if "image" in form.files or "image_url" in form.texts else "video"
