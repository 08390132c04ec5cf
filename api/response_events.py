"""A response as it comes: the events of its stream, in their order."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import count

from api.fallback import public_error, server_error
from api.replies import Json
from api.response_json import Response, final_status, text_json
from api.sse import event
from api.stream_parts import note_answer
from contracts.errors import ServiceError
from contracts.generation import FinishReason
from contracts.previews import Previews

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ResponseEvents:
    """The events of one response; each has its type as its name, and its number."""

    response: Response
    _numbers: "count[int]" = field(default_factory=count, init=False)
    _text: str = field(default="", init=False)

    async def events(self, previews: Previews) -> AsyncGenerator[bytes, None]:
        """All of them; a failure is an event too."""
        try:
            for one in self._opening():
                yield one
            finish_reason: FinishReason | None = None
            async for delta in self.response.generation:
                finish_reason = delta.finish_reason or finish_reason
                if delta.text:
                    self._text += delta.text
                    yield self._in_part("response.output_text.delta", delta=delta.text, logprobs=[])
            for one in self._closing(finish_reason):
                yield one
            note_answer(previews, self.response.generation.messages, self._text)
        except ServiceError as exc:
            yield self._failure(public_error(exc, self.response.request_id))
        except Exception:  # the status is spent; a client that leaves passes through untouched
            logger.exception("request %s failed after its first byte", self.response.request_id)
            yield self._failure(server_error(self.response.request_id))

    def _opening(self) -> list[bytes]:
        begun = self.response.json("in_progress", [])
        item = self.response.message_json("in_progress", [])
        return [
            self._event("response.created", response=begun),
            self._event("response.in_progress", response=begun),
            self._event("response.output_item.added", output_index=0, item=item),
            self._in_part("response.content_part.added", part=text_json("")),
        ]

    def _closing(self, finish_reason: FinishReason | None) -> list[bytes]:
        status, part = final_status(finish_reason), text_json(self._text)
        item = self.response.message_json(status, [part])
        whole = self.response.json(status, [item], usage=self.response.generation.usage)
        return [
            self._in_part("response.output_text.done", text=self._text, logprobs=[]),
            self._in_part("response.content_part.done", part=part),
            self._event("response.output_item.done", output_index=0, item=item),
            self._event(f"response.{status}", response=whole),
        ]

    def _failure(self, error: ServiceError) -> bytes:
        item = self.response.message_json("incomplete", [text_json(self._text)])
        failed = self.response.json("failed", [item] if self._text else [], error=error)
        return self._event("response.failed", response=failed)

    def _in_part(self, name: str, **fields: object) -> bytes:
        """An event about the one part of the one message."""
        place = {"item_id": self.response.message_id, "output_index": 0, "content_index": 0}
        return self._event(name, **place, **fields)

    def _event(self, name: str, **fields: object) -> bytes:
        told: Json = {"type": name, "sequence_number": next(self._numbers), **fields}
        return event(told, name=name)
