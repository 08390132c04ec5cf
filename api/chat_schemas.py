"""Wire schema of a chat completion request; every parameter with its range."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.part_schemas import Message
from api.wire_schemas import INT64_MAX, Count, Fps, Seed, Share, Temperature, WireSchema

MAX_MESSAGES = 256
MAX_BIASES = 300
ALL_FRAMES = -1
NO_EFFECT = "Accepted, no effect"
REPORTED = "The model calls no tools: not used, named in x-ignored-parameters"


def _as_list(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


def _as_token_ids(bias: object) -> object:
    if not isinstance(bias, dict):
        return bias
    if len(bias) > MAX_BIASES:
        raise PydanticCustomError("too_long", "expected fewer", {"max_length": MAX_BIASES})
    if not all(isinstance(key, int) or (key.isascii() and key.isdigit()) for key in bias):
        raise PydanticCustomError("int_parsing", "expected token ids as keys")
    return {int(key): value for key, value in bias.items()}


StopText = Annotated[str, Field(min_length=1, max_length=256)]
Stop = Annotated[
    list[StopText],
    Field(max_length=16),
    BeforeValidator(_as_list, json_schema_input_type=StopText | list[StopText]),
]
FormName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ChoiceText = Annotated[str, Field(min_length=1)]
Bias = Annotated[float, Field(ge=-100, le=100)]
LogitBias = Annotated[
    dict[int, Bias],
    Field(max_length=MAX_BIASES),
    BeforeValidator(_as_token_ids, json_schema_input_type=dict[str, Bias]),
]


TokenIds = Annotated[list[Annotated[int, Field(ge=0, le=INT64_MAX)]], Field(max_length=16)]


class StreamOptions(WireSchema):
    """What an event stream has besides the answer."""

    include_usage: bool | None = False


class JsonSchemaFormat(WireSchema):
    """A JSON Schema that the answer keeps to."""

    name: FormName
    schema_: dict[str, object] = Field(alias="schema", description="At most 64 KiB")
    strict: bool | None = Field(
        default=False, description="Whether keywords that are not enforced are refused, not ignored"
    )
    description: object = Field(default=None, description=NO_EFFECT)


class ResponseFormat(WireSchema):
    """The form of the answer."""

    type: str = Field(description="text, json_object or json_schema")
    json_schema: JsonSchemaFormat | None = Field(default=None, description="With type json_schema")


class StructuredOutputs(WireSchema):
    """Another spelling of forms, vLLM's, for those that are not JSON."""

    choice: Annotated[list[ChoiceText], Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="The answer is one of these texts; 64 KiB in all"
    )


def _all_or_some(num_frames: int) -> int:
    if num_frames < 1 and num_frames != ALL_FRAMES:
        raise PydanticCustomError("greater_than_equal", "expected", {"ge": 1})
    return num_frames


class VideoKwargs(WireSchema):
    """Frame sampling for every video part that does not say the same itself."""

    num_frames: Annotated[int, Field(ge=-1, le=INT64_MAX), AfterValidator(_all_or_some)] | None = (
        Field(default=None, description="At most VLM_MAX_FRAMES; -1: that many")
    )
    fps: Fps | None = None
    max_frames: Count | None = None


class ProcessorKwargs(VideoKwargs):
    """The same, and the pixels of a frame."""

    min_pixels: Count | None = None
    max_pixels: Count | None = None


class MediaIoKwargs(WireSchema):
    """How media are read."""

    video: VideoKwargs | None = None


class ChatBody(WireSchema):
    """A chat completion request."""

    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    model: str | None = Field(default=None, description="One of /v1/models, or absent")
    max_completion_tokens: Count | None = Field(
        default=None, description="Bound on the answer; default and most: VLM_MAX_NEW_TOKENS"
    )
    max_tokens: Count | None = Field(default=None, description="Same as max_completion_tokens")
    min_tokens: Annotated[int, Field(ge=0, le=INT64_MAX)] | None = None
    temperature: Temperature | None = Field(
        default=None, description="0 is greedy; default 1, under /api/v1 0"
    )
    top_p: Share | None = 1.0
    top_k: Annotated[int, Field(ge=-1, le=INT64_MAX)] | None = Field(
        default=0, description="-1 and 0: off"
    )
    min_p: Annotated[float, Field(ge=0, le=1)] | None = 0.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = 0.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = 1.0
    logit_bias: LogitBias | None = None
    stop: Stop | None = None
    stop_token_ids: TokenIds | None = None
    seed: Seed | None = None
    n: Count | None = Field(default=1, description="Choices; at most VLM_MAX_N")
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        default=None, description="Above 0 only with logprobs true"
    )
    stream: bool | None = False
    stream_options: StreamOptions | None = Field(default=None, description="Only with stream true")
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    media_io_kwargs: MediaIoKwargs | None = None
    mm_processor_kwargs: ProcessorKwargs | None = None
    modalities: list[str] | None = Field(default=None, max_length=16, description='["text"]')
    tools: object = Field(default=None, description=REPORTED)
    functions: object = Field(default=None, description=REPORTED)
    tool_choice: object = Field(default=None, description='"none" or "auto"; ' + REPORTED)
    user: object = Field(default=None, description=NO_EFFECT)
    metadata: object = Field(default=None, description=NO_EFFECT)
    store: object = Field(default=None, description=NO_EFFECT)
    service_tier: object = Field(default=None, description=NO_EFFECT)
    safety_identifier: object = Field(default=None, description=NO_EFFECT)
    prompt_cache_key: object = Field(default=None, description=NO_EFFECT)
    parallel_tool_calls: object = Field(default=None, description=NO_EFFECT)
    reasoning_effort: object = Field(default=None, description=NO_EFFECT)
    verbosity: object = Field(default=None, description=NO_EFFECT)
    prediction: object = Field(default=None, description=NO_EFFECT)
