"""What ``/v1/status`` answers, for the OpenAPI document."""

from typing import Literal

from pydantic import Field

from api.reply_schemas import ReplySchema


class ModelStatus(ReplySchema):
    """How the model is."""

    name: str
    runner: str
    quantization: str
    device: str
    max_model_len: int | None
    state: Literal["loading", "ready", "failed"]
    progress: float = Field(ge=0, le=1, description="How much of the weights is loaded")


class QueueStatus(ReplySchema):
    """How many requests wait for the model."""

    chat: int
    upload: int
    alert: int


class EngineStatus(ReplySchema):
    """What the engine does."""

    queue: QueueStatus
    running: int = Field(description="Answers in the making")


class OutboxStatus(ReplySchema):
    """How much waits to be delivered; both null while the store cannot be read."""

    depth: int | None
    oldest_s: float | None = Field(description="Age of the oldest; null where nothing waits")


class StatusReply(ReplySchema):
    """How the service is."""

    version: str
    uptime_s: float
    model: ModelStatus
    engine: EngineStatus
    streams: dict[str, int] = Field(description="How many live streams are in which state")
    rules: dict[str, int] = Field(
        description="How many rules, each on each of its streams, are in which state; always has on"
    )
    outbox: OutboxStatus
