"""Wire schemas of live streams: bodies and queries, every field with its range."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.query import QuerySchema
from api.wire_schemas import WireSchema

MAX_URL_CHARS = 1000
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _is_id(text: str) -> str:
    if not ID.fullmatch(text):
        raise PydanticCustomError("string_pattern_mismatch", "expected 1 to 64 of A-Z a-z 0-9 _ -")
    return text


Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]
StreamId = Annotated[str, AfterValidator(_is_id)]


class StreamFields(WireSchema):
    """What a person configures of a live stream; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="For people; default: the id"
    )
    description: Annotated[str, Field(max_length=1000)] | None = None
    username: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="Instead of credentials inside url; likewise password"
    )
    password: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="Never shown again"
    )
    enabled: bool | None = Field(
        default=None, description="false stops the capture and keeps everything; default true"
    )
    loop: bool | None = Field(default=None, description="Files only: start again at the end")
    sample_fps: Annotated[float, Field(ge=0.1, le=30)] | None = Field(
        default=None, description="Frames per second that are kept; default VLM_STREAM_FPS"
    )


class StreamBody(StreamFields):
    """A new live stream."""

    url: Url = Field(description="rtsp, rtsps, v4l2, http, https or file URL of the source")
    id: StreamId | None = Field(default=None, description="Default: a UUID4")


class StreamPatch(StreamFields):
    """What is to change of a live stream; credentials stay only while the host does."""

    url: Url | None = None


class JpsStreamBody(WireSchema):
    """A new live stream, as clients of JPS add it."""

    liveStreamUrl: Url
    description: Annotated[str, Field(max_length=1000)] | None = ""
    name: Annotated[str, Field(max_length=100)] | None = None


class AddQuery(QuerySchema):
    """How an added stream is waited for; only native GETs refuse what they do not know."""

    model_config = ConfigDict(extra="ignore")

    wait_s: Annotated[float, Field(ge=0, le=15)] = Field(
        default=0, description="Longest time to wait for the first frame"
    )


MaxSide = Annotated[int, Field(ge=64, le=1920)]
PreviewFps = Annotated[float, Field(ge=1, le=15)]
Flag = Literal["0", "1"]


class SnapshotQuery(QuerySchema):
    """How the newest frame is shown."""

    max_side: MaxSide | None = Field(default=None, description="Longer side, pixels, at most")
    overlay: Flag = Field(default="0", description="1: name, time, answers and rules are in it")


class PreviewQuery(QuerySchema):
    """How a stream is watched."""

    fps: PreviewFps = Field(default=5, description="Pictures a second, at most")
    max_side: MaxSide = Field(default=640, description="Longer side, pixels, at most")
    overlay: Flag = Field(default="0", description="1: name, time, answers and rules are in it")


class ClipQuery(QuerySchema):
    """How much is looked back at."""

    seconds: Annotated[float, Field(ge=1)] | None = Field(
        default=None, description="At most VLM_RING_SECONDS; default 10"
    )


class Tile(WireSchema):
    """How one stream of a preview WebSocket is watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fps: PreviewFps | None = 5
    max_side: MaxSide | None = 640
    overlay: bool | None = False


class TilesMessage(WireSchema):
    """All streams that a preview WebSocket is to carry from now on."""

    model_config = ConfigDict(extra="forbid")

    streams: Annotated[dict[str, Tile], Field(max_length=64)] = Field(default={})
