"""What a server's refusal means in our words; its own text may hold anything and is not told."""

import re
from collections.abc import Mapping

from pydantic import ValidationError

from contracts.errors import (
    ContextLengthExceeded,
    ModelLoading,
    ModelUnavailable,
    OutOfMemory,
    QueueFull,
    RequestError,
    RequestTimeout,
    RequestTooLarge,
    RunnerError,
    ServiceError,
)
from runners.remote.wire import WireAnswer, WireError

DEFAULT_WAIT_S = 5
TOO_LONG = re.compile(r"context.?length|context.?window|context.?size|max_model_len|n_ctx", re.I)
A_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")  # what can be told: nothing else fits into it

FULL = "the model's server has no room for another request now; try again in a few seconds"
TOO_LONG_SAID = (
    "the prompt leaves no room for an answer in the context of the model's server; "
    "send less text or fewer frames"
)
CODES: Mapping[str, type[ServiceError]] = {
    "context_length_exceeded": ContextLengthExceeded,
    "model_loading": ModelLoading,
    "out_of_memory": OutOfMemory,
    "queue_full": QueueFull,
    "request_timeout": RequestTimeout,
}
SAID: Mapping[type[ServiceError], str] = {
    ContextLengthExceeded: TOO_LONG_SAID,
    ModelLoading: "the model's server is still loading it; try again in a few seconds",
    OutOfMemory: "the model's server has no memory for this request; send less text or media",
    QueueFull: FULL,
    RequestTimeout: "the model's server did not finish the answer in its own time",
}
STATUSES: Mapping[int, tuple[type[ServiceError], str]] = {
    401: (ModelUnavailable, "the model's server refuses our key; set VLM_OPENAI_KEY to its own"),
    403: (ModelUnavailable, "the model's server refuses our key; set VLM_OPENAI_KEY to its own"),
    404: (
        ModelUnavailable,
        "the model's server knows no such model; see VLM_MODEL, VLM_OPENAI_URL",
    ),
    408: (RequestTimeout, SAID[RequestTimeout]),
    413: (RequestTooLarge, "the model's server takes no body as large; send less or smaller media"),
    429: (QueueFull, FULL),
    504: (RequestTimeout, SAID[RequestTimeout]),
}


class Refusal(Exception):
    """A server answered with another status than success.

    Args:
        status: HTTP status.
        text: Its body, or the beginning of it; never told to anybody.
        retry_after: The header of that name.
    """

    def __init__(self, status: int, text: str = "", retry_after: str | None = None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.text = text
        self.retry_after = retry_after

    def says(self, word: str) -> bool:
        """Whether the request was at fault, and the server speaks of this."""
        return self.status in (400, 422) and word in self.text

    @property
    def is_too_long(self) -> bool:
        """Whether prompt and bound on the answer are more than the context."""
        return self.status == 400 and TOO_LONG.search(self.text) is not None

    def error(self) -> ServiceError:
        """What to raise instead."""
        error = self._error()
        if error.retry_after_s is not None:
            error.retry_after_s = _seconds(self.retry_after)
        return error

    def _error(self) -> ServiceError:
        code = _code(self._told)
        if code is not None and code in CODES:
            return CODES[code](SAID[CODES[code]])
        if self.is_too_long:
            return ContextLengthExceeded(TOO_LONG_SAID)
        if self.status in STATUSES:
            kind, message = STATUSES[self.status]
            return kind(message)
        name = f"status {self.status}" + (f", {code}" if code else "")
        if 400 <= self.status < 500:
            return RequestError(
                f"the model's server refuses the request ({name}); it may not know one of its "
                "parameters, the log has its reason"
            )
        return ModelUnavailable(f"the model's server fails ({name}); try again in a few seconds")

    @property
    def _told(self) -> WireError | str | None:
        try:
            return WireAnswer.model_validate_json(self.text).error
        except ValidationError:
            return None


def error_in_answer(told: WireError | str) -> ServiceError:
    """What to raise when an answer that began well goes on with an error."""
    code = _code(told)
    if code is not None and code in CODES:
        return CODES[code](SAID[CODES[code]])
    return RunnerError("the model's server failed while it answered")


def _code(told: WireError | str | None) -> str | None:
    """The code or type of an error, if it is a word that can be told."""
    if not isinstance(told, WireError):
        return None
    words = (word for word in (told.code, told.type) if isinstance(word, str))
    return next((word for word in words if A_CODE.fullmatch(word)), None)


def _seconds(retry_after: str | None) -> int:
    """Whole seconds to wait, 1 to 60."""
    is_number = retry_after is not None and retry_after.isascii() and retry_after.isdigit()
    return min(max(int(retry_after or ""), 1), 60) if is_number else DEFAULT_WAIT_S
