"""A chat completion as its clients read it. Knows nothing of routes or of how it is sent."""

from dataclasses import dataclass

from api.chat_request import ChatRequest
from api.deps import Deps
from api.generation import Answer, Generation
from api.replies import Json, chat_timings, choice_json, fingerprint, media_info, usage_json
from contracts.generation import Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """What all parts of one reply have in common."""

    deps: Deps
    id: str
    created: int
    asked: ChatRequest
    generation: Generation
    request_id: str

    def head(self, kind: str) -> Json:
        """The fields that open the reply and each of its chunks."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.deps.settings.served_name,
            "system_fingerprint": fingerprint(self.deps),
        }

    def cost(self, usage: Usage) -> Json:
        """Usage and timings."""
        has_details = self.deps.settings.usage_details
        generation = self.generation
        return {
            "usage": usage_json(usage, has_details=has_details),
            "timings": chat_timings(usage, generation.timings, generation.messages),
        }


def reply_json(reply: Reply, answer: Answer) -> Json:
    """The whole reply."""
    choices = [
        choice_json(index, choice, has_logprobs=reply.asked.sampling.logprobs)
        for index, choice in enumerate(answer.choices)
    ]
    return {
        **reply.head("chat.completion"),
        "choices": choices,
        **reply.cost(answer.usage),
        "media_info": media_info(reply.generation.messages),
    }
