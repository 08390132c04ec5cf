"""What replies about live streams look like, for the OpenAPI document."""

from typing import Literal

from api.reply_schemas import ReplySchema
from contracts.streams import StreamKind, StreamState


class BufferReply(ReplySchema):
    """What can be looked back at."""

    seconds: float
    frames: int


class StreamReply(ReplySchema):
    """A live stream, as it is configured and as it stands."""

    id: str
    object: Literal["stream"]
    name: str
    description: str
    url: str
    kind: StreamKind
    enabled: bool
    sample_fps: float
    loop: bool
    created_at: str
    state: StreamState
    state_since: str
    state_reason: str | None
    last_frame_at: str | None
    last_frame_age_s: float | None
    next_retry_in_s: float | None
    reconnects: int
    width: int | None
    height: int | None
    codec: str | None
    source_fps: float | None
    measured_fps: float | None
    frames_captured: int
    frames_dropped: int
    buffer: BufferReply
    num_rules: int


class StreamList(ReplySchema):
    """All live streams, in the order they were added."""

    object: Literal["list"]
    data: list[StreamReply]


class StreamDeleted(ReplySchema):
    """A live stream that is no more."""

    id: str
    object: Literal["stream"]
    deleted: Literal[True]


class JpsStreamAdded(ReplySchema):
    """The id of a live stream."""

    id: str


class JpsStream(ReplySchema):
    """A live stream, as JPS lists it."""

    id: str
    liveStreamUrl: str
    description: str
