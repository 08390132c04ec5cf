"""Wire schemas of messages and their parts.

Union tags are in angle brackets, which keeps them out of the paths that clients read.
"""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from api.wire_schemas import Count, Fps, Seconds, WireSchema

MAX_PARTS = 1024  # of one message; a list that is longer is one problem, not one for each item
MAX_LISTED_FRAMES = 16_384

Role = Literal[
    "system", "developer", "user", "assistant", "assistent", "tool", "function"
]  # "assistent" is how one client's reference spells it


class PixelBounds(WireSchema):
    """Fewest and most pixels of a picture, under either of two names."""

    min_pixel: Count | None = None
    max_pixel: Count | None = None
    min_pixels: Count | None = Field(default=None, description="Same as min_pixel")
    max_pixels: Count | None = Field(default=None, description="Same as max_pixel")


class ImageUrl(PixelBounds):
    """Where a picture is, and how to look at it."""

    url: str | None = Field(default=None, description="http(s) URL, data URL or bare base64")
    detail: Literal["auto", "low", "high"] | None = "auto"


def _kind_of_url(url: object) -> str | None:
    if url is None or isinstance(url, str):
        return "<text>"
    return "<list>" if isinstance(url, list) else None


class VideoUrl(PixelBounds):
    """Where a video is, and which of its frames to look at."""

    url: Annotated[
        Annotated[str | None, Tag("<text>")]
        | Annotated[list[str], Field(max_length=MAX_LISTED_FRAMES), Tag("<list>")],
        Discriminator(
            _kind_of_url,
            custom_error_type="string_or_list_type",
            custom_error_message="expected a string or a list of strings",
        ),
    ] = Field(
        default=None,
        description="http(s) URL, data URL, bare base64, or the frames as a list of these",
    )
    fps: Fps | None = Field(default=None, description="Frames a second to look at")
    num_frames: Count | None = Field(default=None, description="At most VLM_MAX_FRAMES")
    max_frames: Count | None = Field(default=None, description="At most VLM_MAX_FRAMES")
    start_s: Seconds | None = None
    end_s: Seconds | None = None


class StreamRef(WireSchema):
    """Which camera to look at, and how far back."""

    stream_id: str | None = None
    last_seconds: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Span up to now, at most VLM_RING_SECONDS; default: now alone"
    )
    frames: Count | None = Field(
        default=None,
        description="How many, at most VLM_MAX_FRAMES; without last_seconds the newest ones",
    )
    detail: Literal["low", "high"] | None = Field(
        default="low", description="high: one frame, in tiles"
    )
    allow_stale: bool | None = Field(
        default=False, description="Whether a newest frame older than VLM_STREAM_STALE_S will do"
    )


class TextContent(WireSchema):
    """A part of text."""

    type: Literal["text"]
    text: str


class RefusalContent(WireSchema):
    """What an assistant said instead of an answer."""

    type: Literal["refusal"]
    refusal: str


class _MediaContent(WireSchema):
    uuid: object = Field(default=None, description="Accepted, no effect")

    def _require(self, url: object, field: str) -> None:
        if not url:
            raise PydanticCustomError("missing_media", f"expected {field}.url with a URL in it")


class ImageContent(_MediaContent):
    """A part that is a picture; a video behind its URL is taken as one."""

    type: Literal["image_url"]
    image_url: ImageUrl | None = None

    @model_validator(mode="after")
    def _has_url(self) -> Self:
        self._require(self.image_url and self.image_url.url, "image_url")
        return self


class VideoContent(_MediaContent):
    """A part that is a video."""

    type: Literal["video_url"]
    video_url: VideoUrl | None = None

    @model_validator(mode="after")
    def _has_url(self) -> Self:
        self._require(self.video_url and self.video_url.url, "video_url")
        return self


class StreamContent(_MediaContent):
    """A part that is a registered camera."""

    type: Literal["stream"]
    stream: StreamRef | None = None


PART_TYPES = ("text", "image_url", "video_url", "stream", "refusal")


def type_of(part: object) -> object:
    """What a part says that it is, whether it is read already or not."""
    return part.get("type") if isinstance(part, dict) else getattr(part, "type", None)


def _kind_of_part(part: object) -> str | None:
    kind = type_of(part)
    return f"<{kind}>" if kind in PART_TYPES else None


ContentPart = Annotated[
    Annotated[TextContent, Tag("<text>")]
    | Annotated[ImageContent, Tag("<image_url>")]
    | Annotated[VideoContent, Tag("<video_url>")]
    | Annotated[StreamContent, Tag("<stream>")]
    | Annotated[RefusalContent, Tag("<refusal>")],
    Discriminator(
        _kind_of_part,
        custom_error_type="unsupported_value",
        custom_error_message=f"expected a part of type {', '.join(PART_TYPES[:-1])}",
    ),
]


def _kind_of_content(content: object) -> str | None:
    if content is None:
        return "<none>"
    if isinstance(content, str):
        return "<text>"
    return "<parts>" if isinstance(content, list) else None


class Message(WireSchema):
    """What one side said."""

    role: Role
    content: Annotated[
        Annotated[str, Tag("<text>")]
        | Annotated[list[ContentPart], Field(min_length=1, max_length=MAX_PARTS), Tag("<parts>")]
        | Annotated[None, Tag("<none>")],
        Discriminator(
            _kind_of_content,
            custom_error_type="string_or_list_type",
            custom_error_message="expected a string or a list of parts",
        ),
    ] = Field(
        default=None,
        validate_default=True,
        description="A text or parts; null only from an assistant",
    )

    @field_validator("content")
    @classmethod
    def _is_there(cls, content: object, info: ValidationInfo) -> object:
        if content is None and info.data.get("role") not in (None, "assistant", "assistent"):
            raise PydanticCustomError("missing", "expected a string or a list of parts")
        return content
