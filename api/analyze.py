"""``/analyze_video`` and ``/analyze_image``: one file or URL in, one answer out."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from api.analyze_request import AnalyzeRequest, read_form_fields, read_json_fields
from api.body import Intake, require_type
from api.client import while_client_stays
from api.deps import Deps, GetDeps
from api.drafts import media_parts
from api.generation import Answer, Generation, Question, start
from api.openapi import analyze_operation
from api.replies import Json, analyze_timings, clip_json, new_id, picture_json, usage_json
from api.request_log import request_id_of
from api.wire_schemas import ignored_header
from contracts.chat import VideoPart
from contracts.errors import MediaKind

MULTIPART = "multipart/form-data"


def analyze_routes(deps: GetDeps, intake: Intake) -> APIRouter:
    """The two routes."""
    router = APIRouter(tags=["analyze"])

    @router.post("/analyze_video", **analyze_operation("video"))
    async def analyze_video(request: Request) -> JSONResponse:
        return await _analyze(request, "video", deps(), intake)

    @router.post("/analyze_image", **analyze_operation("image"))
    async def analyze_image(request: Request) -> JSONResponse:
        return await _analyze(request, "image", deps(), intake)

    return router


@asynccontextmanager
async def received(
    request: Request, kind: MediaKind, deps: Deps, intake: Intake
) -> AsyncIterator[tuple[AnalyzeRequest, float]]:
    """The request and when its last byte came; an uploaded file is there until the end."""
    if require_type(request, MULTIPART, "application/json") == MULTIPART:
        async with intake.form(request, {kind: kind}) as form:
            yield read_form_fields(form, kind, deps.settings), form.received_s
    else:
        body = await intake.json(request)
        read = partial(read_json_fields, kind=kind, settings=deps.settings)
        yield await body.read(read), body.received_s


async def _analyze(request: Request, kind: MediaKind, deps: Deps, intake: Intake) -> JSONResponse:
    async with received(request, kind, deps, intake) as (asked, received_s):
        question = Question(
            new_id("anl-"),
            request_id_of(request.scope),
            asked.draft,
            asked.sampling,
            received_s,
            work_class="upload",
        )
        async with while_client_stays(request.receive):
            with intake.line() as claim:
                generation = await start(deps, question, claim)
            try:
                answer = await generation.answer()
            finally:
                await generation.aclose()
        reply = _reply(deps, question, generation, answer)
        return JSONResponse(reply, headers=ignored_header(asked.ignored))


def _reply(deps: Deps, question: Question, generation: Generation, answer: Answer) -> Json:
    total_s = time.monotonic() - question.received_s
    (part,) = media_parts(generation.messages)
    about: Json = (
        {"video_info": clip_json(part.clip)}
        if isinstance(part, VideoPart)
        else {"image_info": picture_json(part.picture)}
    )
    (choice,) = answer.choices
    return {
        "response": choice.text,
        **about,
        "status": "success",
        "error": None,
        "id": question.id,
        "model": deps.settings.served_name,
        "finish_reason": choice.finish_reason,
        "usage": usage_json(answer.usage),
        "timings": analyze_timings(answer.timings, generation.messages, total_s),
    }
