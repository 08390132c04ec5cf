"""A question on its way through a route: admitted while its client stays, then answered whole."""

from starlette.requests import Request

from api.body import Intake
from api.client import while_client_stays
from api.deps import ServiceDeps
from api.generation import Answer, Generation, Question, start
from api.stream_parts import note_answer


async def admit(
    request: Request, question: Question, deps: ServiceDeps, intake: Intake
) -> Generation:
    """The answer on its way; whoever gets it closes it.

    Raises:
        ServiceError: Whatever can refuse a request does it here.
    """
    with intake.line() as claim:
        async with while_client_stays(request.receive):
            return await start(deps, question, claim)


async def whole_answer(request: Request, generation: Generation, deps: ServiceDeps) -> Answer:
    """The whole answer, which the previews of the streams in question show; closes it.

    Raises:
        ServiceError: It could not be finished.
    """
    try:
        async with while_client_stays(request.receive):
            answer = await generation.answer()
        note_answer(deps.previews, generation.messages, answer.choices[0].text)
        return answer
    finally:
        await generation.aclose()
