"""``/v1/responses``: chats in the words of OpenAI's newer API, without anything being kept."""

import time
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse
from starlette.responses import Response as HttpResponse

from api.asking import admit, whole_answer
from api.body import Intake
from api.deps import GetDeps, ServiceDeps
from api.generation import Question
from api.openapi import response_operation
from api.replies import new_id
from api.request_log import request_id_of
from api.response_events import ResponseEvents
from api.response_json import Response, final_status, text_json
from api.response_request import read_response
from api.sse import EventStream
from api.wire_schemas import ignored_header

PATH = "/v1/responses"


def response_routes(deps: GetDeps, intake: Intake) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["chat"])

    @router.post(PATH, **response_operation(PATH))
    async def create_response(request: Request) -> HttpResponse:
        return await _respond(request, deps(), intake)

    return router


async def _respond(request: Request, deps: ServiceDeps, intake: Intake) -> HttpResponse:
    body = await intake.json(request)
    asked = await body.read(partial(read_response, settings=deps.settings))
    request_id = request_id_of(request.scope)
    question = Question(new_id("resp_"), request_id, asked.draft, asked.sampling, body.received_s)
    generation = await admit(request, question, deps, intake)
    response = Response(
        deps, question.id, new_id("msg_"), int(time.time()), asked, generation, request_id
    )
    headers = ignored_header(asked.ignored)
    if asked.body.stream:
        return EventStream(
            ResponseEvents(response).events(deps.previews),
            close=generation.aclose,
            keep_alive_s=deps.settings.sse_keepalive_s,
            headers=headers,
            patience_s=deps.patience_s,
        )
    answer = await whole_answer(request, generation, deps)
    (choice,) = answer.choices
    status = final_status(choice.finish_reason)
    message = response.message_json(status, [text_json(choice.text)])
    return JSONResponse(response.json(status, [message], usage=answer.usage), headers=headers)
