"""Wire schema of a request to ``/v1/responses``: a chat's, in other words."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from api.chat_schemas import MAX_MESSAGES, NO_EFFECT, REPORTED, FormName
from api.part_schemas import MAX_PARTS, RefusalContent, StreamContent, VideoUrl, type_of
from api.wire_schemas import Count, Share, Temperature, WireSchema

PART_TYPES = (
    *("input_text", "output_text", "refusal"),
    *("input_image", "input_video", "stream"),
)
MAX_METADATA = 16


class InputText(WireSchema):
    """What was said."""

    type: Literal["input_text"]
    text: str


class OutputText(WireSchema):
    """What was answered, as an earlier reply has it."""

    type: Literal["output_text"]
    text: str
    annotations: object = Field(default=None, description=NO_EFFECT)
    logprobs: object = Field(default=None, description=NO_EFFECT)


class InputImage(WireSchema):
    """A picture; a video behind its URL is taken as one."""

    type: Literal["input_image"]
    image_url: str | None = Field(default=None, description="http(s) URL, data URL or bare base64")
    detail: Literal["auto", "low", "high"] | None = "auto"
    file_id: object = Field(default=None, description="Not offered: no files are kept")

    @model_validator(mode="after")
    def _has_url(self) -> Self:
        if self.file_id is not None:
            raise PydanticCustomError(
                "unsupported_value", "expected image_url instead of file_id: no files are kept"
            )
        if not self.image_url:
            raise PydanticCustomError("missing_media", "expected image_url with a URL in it")
        return self


def _kind_of_video(video: object) -> str | None:
    if video is None or isinstance(video, str):
        return "<text>"
    return "<object>" if isinstance(video, dict | VideoUrl) else None


class InputVideo(WireSchema):
    """A video."""

    type: Literal["input_video"]
    video_url: Annotated[
        Annotated[str | None, Tag("<text>")] | Annotated[VideoUrl, Tag("<object>")],
        Discriminator(
            _kind_of_video,
            custom_error_type="string_or_object_type",
            custom_error_message="expected a URL, or an object with url",
        ),
    ] = None

    @model_validator(mode="after")
    def _has_url(self) -> Self:
        if not self.video.url:
            raise PydanticCustomError("missing_media", "expected video_url with a URL in it")
        return self

    @property
    def video(self) -> VideoUrl:
        """Where it is, and which of its frames to look at."""
        there = self.video_url
        return there if isinstance(there, VideoUrl) else VideoUrl(url=there)


def _kind_of_part(part: object) -> str | None:
    kind = type_of(part)
    return f"<{kind}>" if kind in PART_TYPES else None


InputPart = Annotated[
    Annotated[InputText, Tag("<input_text>")]
    | Annotated[OutputText, Tag("<output_text>")]
    | Annotated[RefusalContent, Tag("<refusal>")]
    | Annotated[InputImage, Tag("<input_image>")]
    | Annotated[InputVideo, Tag("<input_video>")]
    | Annotated[StreamContent, Tag("<stream>")],
    Discriminator(
        _kind_of_part,
        custom_error_type="unsupported_value",
        custom_error_message=f"expected a part of type {', '.join(PART_TYPES)}",
    ),
]


def _kind_of_content(content: object) -> str | None:
    if isinstance(content, str):
        return "<text>"
    return "<parts>" if isinstance(content, list) else None


class InputMessage(WireSchema):
    """What one side said."""

    type: Literal["message"] | None = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[
        Annotated[str, Tag("<text>")]
        | Annotated[list[InputPart], Field(min_length=1, max_length=MAX_PARTS), Tag("<parts>")],
        Discriminator(
            _kind_of_content,
            custom_error_type="string_or_list_type",
            custom_error_message="expected a string or a list of parts",
        ),
    ]
    id: object = Field(default=None, description=NO_EFFECT)
    status: object = Field(default=None, description=NO_EFFECT)
    phase: object = Field(default=None, description=NO_EFFECT)


class ReasoningItem(WireSchema):
    """What an earlier model thought; dropped."""

    type: Literal["reasoning"]


def _kind_of_item(item: object) -> str | None:
    kind = type_of(item)
    if kind in (None, "message"):
        return "<message>"
    return "<reasoning>" if kind == "reasoning" else None


InputItem = Annotated[
    Annotated[InputMessage, Tag("<message>")] | Annotated[ReasoningItem, Tag("<reasoning>")],
    Discriminator(
        _kind_of_item,
        custom_error_type="unsupported_value",
        custom_error_message="expected an item of type message",
    ),
]


class TextFormat(WireSchema):
    """The form of the answer."""

    type: str = Field(description="text, json_object or json_schema")
    name: FormName | None = None
    schema_: dict[str, object] | None = Field(
        default=None, alias="schema", description="With type json_schema; at most 64 KiB"
    )
    strict: bool | None = Field(
        default=False, description="Whether keywords that are not enforced are refused, not ignored"
    )
    description: str | None = Field(default=None, description=NO_EFFECT)


class TextOptions(WireSchema):
    """How the answer is written."""

    format: TextFormat | None = None
    verbosity: object = Field(default=None, description=NO_EFFECT)


class ResponseBody(WireSchema):
    """A request for a response."""

    input: Annotated[
        Annotated[str, Tag("<text>")]
        | Annotated[list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES), Tag("<parts>")],
        Discriminator(
            _kind_of_content,
            custom_error_type="string_or_list_type",
            custom_error_message="expected a string or a list of items",
        ),
    ]
    model: str | None = Field(default=None, description="One of /v1/models, or absent")
    instructions: str | None = Field(default=None, description="A system message in front")
    max_output_tokens: Count | None = Field(
        default=None, description="Bound on the answer; default and most: VLM_MAX_NEW_TOKENS"
    )
    temperature: Temperature | None = Field(default=1.0, description="0 is greedy")
    top_p: Share | None = 1.0
    text: TextOptions | None = None
    stream: bool | None = False
    metadata: Annotated[dict[str, str], Field(max_length=MAX_METADATA)] | None = Field(
        default=None, description="Comes back as it is"
    )
    background: bool | None = Field(default=False, description="Only false")
    previous_response_id: object = Field(default=None, description="Not offered: nothing is kept")
    conversation: object = Field(default=None, description="Not offered: nothing is kept")
    tools: object = Field(default=None, description=REPORTED)
    tool_choice: object = Field(default=None, description='"none" or "auto"; ' + REPORTED)
    store: object = Field(default=None, description=NO_EFFECT)
    user: object = Field(default=None, description=NO_EFFECT)
    include: object = Field(default=None, description=NO_EFFECT)
    parallel_tool_calls: object = Field(default=None, description=NO_EFFECT)
    max_tool_calls: object = Field(default=None, description=NO_EFFECT)
    prompt_cache_key: object = Field(default=None, description=NO_EFFECT)
    reasoning: object = Field(default=None, description=NO_EFFECT)
    safety_identifier: object = Field(default=None, description=NO_EFFECT)
    service_tier: object = Field(default=None, description=NO_EFFECT)
    stream_options: object = Field(default=None, description=NO_EFFECT)
    truncation: object = Field(default=None, description=NO_EFFECT)
