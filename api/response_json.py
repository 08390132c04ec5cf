"""A response as its clients read it, whole or on its way. Knows nothing of how it is sent."""

from dataclasses import dataclass
from typing import Literal

from api.deps import Deps
from api.generation import Generation
from api.replies import Json, media_info, prompt_json
from api.response_request import ResponseRequest
from contracts.errors import ServiceError
from contracts.generation import FinishReason, Usage

Status = Literal["in_progress", "completed", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class Response:
    """What every state of one response has in common."""

    deps: Deps
    id: str
    message_id: str
    created_at: int
    asked: ResponseRequest
    generation: Generation
    request_id: str

    def json(
        self,
        status: Status,
        output: list[Json],
        *,
        usage: Usage | None = None,
        error: ServiceError | None = None,
    ) -> Json:
        """The response in one of its states."""
        body, sampling = self.asked.body, self.asked.sampling
        is_cut = status == "incomplete"
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "model": self.deps.settings.served_name,
            "error": None if error is None else _error_json(error),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "instructions": body.instructions,
            "output": output,
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_output_tokens": body.max_output_tokens,
            "previous_response_id": None,
            "store": False,
            "text": {"format": self._format_json()},
            "truncation": "disabled",
            "metadata": body.metadata or {},
            "media_info": media_info(self.generation.messages),
            "usage": None if usage is None else response_usage(usage),
        }

    def message_json(self, status: Status, content: list[Json]) -> Json:
        """The one item of its output."""
        return {
            "type": "message",
            "id": self.message_id,
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _format_json(self) -> Json:
        asked = self.asked.body.text.format if self.asked.body.text else None
        if asked is None or asked.type != "json_schema":
            return {"type": "text" if asked is None else asked.type}
        return {
            "type": asked.type,
            "name": asked.name,
            "schema": asked.schema_,
            "strict": bool(asked.strict),
            "description": asked.description,
        }


def text_json(text: str) -> Json:
    """The one part of its message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def final_status(finish_reason: FinishReason | None) -> Status:
    """What an answer's end makes of its response."""
    return "incomplete" if finish_reason is FinishReason.LENGTH else "completed"


def response_usage(usage: Usage) -> Json:
    """Token counts in the words of this API."""
    return {
        "input_tokens": usage.prompt.total,
        "input_tokens_details": {
            **prompt_json(usage.prompt, cached=usage.cached),
            "cache_write_tokens": 0,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt.total + usage.completion,
    }


def _error_json(error: ServiceError) -> Json:
    """The error, under one of the codes that clients have types for."""
    code = "invalid_prompt" if error.status < 500 else "server_error"
    return {"code": code, "message": error.message, "type": error.type, "param": error.param}
