"""What replies look like, for the OpenAPI document; the tests hold real replies against these."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from contracts.generation import Judging


class ReplySchema(BaseModel):
    """A reply, or a piece of one; it has exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class PromptDetails(ReplySchema):
    """What the tokens of a prompt are; cached ones were not computed again."""

    cached_tokens: int
    text_tokens: int
    image_tokens: int
    video_tokens: int


class CompletionDetails(ReplySchema):
    """What the tokens of an answer are."""

    reasoning_tokens: int


class UsageReply(ReplySchema):
    """Token counts; the details are absent with VLM_USAGE_DETAILS=false."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class AnalyzeTimings(ReplySchema):
    """Milliseconds."""

    queue_ms: int
    fetch_ms: int
    decode_ms: int
    encode_ms: int
    prefill_ms: int
    generate_ms: int
    total_ms: int


class ChatTimings(ReplySchema):
    """Milliseconds, and tokens a second."""

    prompt_n: int
    prompt_ms: int
    prompt_per_second: float
    predicted_n: int
    predicted_ms: int
    predicted_per_second: float
    queue_ms: int
    fetch_ms: int
    decode_ms: int
    encode_ms: int


class ImageInfo(ReplySchema):
    """The picture that was seen."""

    width: int
    height: int
    format: str


class VideoInfo(ReplySchema):
    """The frames that were seen, and the file they came from; times in seconds."""

    frame_count: int
    video_duration: float | None
    frame_times: list[float]
    source_fps: float | None
    num_source_frames: int
    width: int
    height: int
    codec: str
    start_s: float
    end_s: float
    sampled_by: str
    warnings: list[str]


class ImageMedium(ImageInfo):
    """An entry of media_info."""

    type: Literal["image"]


class VideoMedium(VideoInfo):
    """An entry of media_info."""

    type: Literal["video"]


class StreamMedium(ReplySchema):
    """An entry of media_info: frames of a live stream; times from the first of them."""

    type: Literal["stream"]
    stream_id: str
    frame_count: int
    frame_times: list[float]
    captured_from: str
    captured_to: str
    age_s: float


class AnalyzeReply(ReplySchema):
    """What both routes answer."""

    response: str
    status: Literal["success"]
    error: None
    id: str
    model: str
    finish_reason: Literal["stop", "length"]
    usage: UsageReply
    timings: AnalyzeTimings


class AnalyzeImageReply(AnalyzeReply):
    """The answer about a picture."""

    image_info: ImageInfo


class AnalyzeVideoReply(AnalyzeReply):
    """The answer about a video."""

    video_info: VideoInfo


class AnswerMessage(ReplySchema):
    """What the model said."""

    role: Literal["assistant"]
    content: str
    refusal: None
    annotations: list[object]


class Alternative(ReplySchema):
    """A token and its log-probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobs(Alternative):
    """A token of the answer, and what else could have stood there."""

    top_logprobs: list[Alternative]


class ChoiceLogprobs(ReplySchema):
    """One entry for each token of the answer."""

    content: list[TokenLogprobs]
    refusal: None


class ChoiceReply(ReplySchema):
    """One answer."""

    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(ReplySchema):
    """The answers; with stream true the same comes as chat.completion.chunk events."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChoiceReply]
    usage: UsageReply
    timings: ChatTimings
    media_info: list[ImageMedium | VideoMedium | StreamMedium]


class MediaProbe(ReplySchema):
    """What a request's media are and cost; null is what the model's server does not tell."""

    object: Literal["media.probe"]
    media_info: list[ImageMedium | VideoMedium | StreamMedium]
    prompt_tokens: int
    prompt_tokens_details: PromptDetails
    context_length: int | None
    fits: bool | None
    max_frames_that_fit: int | None
    estimated: bool


class Capabilities(ReplySchema):
    """What the model takes."""

    vision: bool
    video: bool
    streams: bool
    batching: bool
    judging: Judging


class ModelReply(ReplySchema):
    """The model; max_model_len is null until it is loaded, and where its server does not tell."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int | None
    root: str
    parent: None
    capabilities: Capabilities


class ModelList(ReplySchema):
    """The model under each of its listed names."""

    object: Literal["list"]
    data: list[ModelReply]


class DetailReply(ReplySchema):
    """One word about the service."""

    detail: str
