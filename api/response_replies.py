"""What responses look like, for the OpenAPI document; the tests hold real ones against these."""

from typing import Literal

from api.reply_schemas import (
    ImageMedium,
    PromptDetails,
    ReplySchema,
    StreamMedium,
    VideoMedium,
)

Empty = list[object]


class InputDetails(PromptDetails):
    """What the tokens of the input are."""

    cache_write_tokens: int


class OutputDetails(ReplySchema):
    """What the tokens of the output are."""

    reasoning_tokens: int


class ResponseUsage(ReplySchema):
    """Token counts."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class OutputPart(ReplySchema):
    """What the model said."""

    type: Literal["output_text"]
    text: str
    annotations: list[object]
    logprobs: list[object]


class OutputMessage(ReplySchema):
    """The one item of the output."""

    type: Literal["message"]
    id: str
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["assistant"]
    content: list[OutputPart]


class ResponseFault(ReplySchema):
    """Why a response failed after its stream had begun."""

    code: Literal["server_error", "invalid_prompt"]
    message: str
    type: str
    param: str | None


class IncompleteDetails(ReplySchema):
    """Why a response is not whole."""

    reason: Literal["max_output_tokens"]


class TextReply(ReplySchema):
    """The form of the answer, as it was asked for."""

    format: dict[str, object]


class ResponseReply(ReplySchema):
    """A response; with stream true the same comes in events."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    model: str
    error: ResponseFault | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    output: list[OutputMessage]
    parallel_tool_calls: Literal[False]
    tool_choice: Literal["auto"]
    tools: Empty
    temperature: float
    top_p: float
    max_output_tokens: int | None
    previous_response_id: None
    store: Literal[False]
    text: TextReply
    truncation: Literal["disabled"]
    metadata: dict[str, str]
    media_info: list[ImageMedium | VideoMedium | StreamMedium]
    usage: ResponseUsage | None
