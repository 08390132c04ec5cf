"""The schemas of all bodies and replies, as the document lists them."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import (
    error_replies,
    event_replies,
    response_replies,
    response_schemas,
    rule_replies,
    rule_schemas,
    status_replies,
    stream_replies,
    stream_schemas,
)
from api import reply_schemas as replies
from api.analyze_schemas import ImageOptions, VideoOptions
from api.chat_schemas import ChatBody
from api.examples import EXAMPLES

BODIES: tuple[type[BaseModel], ...] = (
    ChatBody,
    response_schemas.ResponseBody,
    ImageOptions,
    VideoOptions,
    stream_schemas.StreamBody,
    stream_schemas.StreamPatch,
    stream_schemas.JpsStreamBody,
    rule_schemas.RuleBody,
    rule_schemas.RuleTestBody,
    rule_schemas.RulePatch,
    rule_schemas.JpsAlertsBody,
)
REPLIES: tuple[type[BaseModel], ...] = (
    replies.AnalyzeImageReply,
    replies.AnalyzeVideoReply,
    replies.ChatCompletion,
    response_replies.ResponseReply,
    replies.MediaProbe,
    replies.ModelReply,
    replies.ModelList,
    status_replies.StatusReply,
    replies.DetailReply,
    stream_replies.StreamReply,
    stream_replies.StreamList,
    stream_replies.StreamDeleted,
    stream_replies.JpsStreamAdded,
    stream_replies.JpsStream,
    rule_replies.RuleReply,
    rule_replies.RuleTestReply,
    rule_replies.RuleList,
    rule_replies.RuleDeleted,
    rule_replies.JpsAlert,
    event_replies.EventReply,
    event_replies.EventList,
    event_replies.DeliveryReply,
    event_replies.DeliveryList,
    error_replies.OpenAIError,
    error_replies.AnalyzeError,
    error_replies.JpsError,
)


def component_schemas(ref_template: str) -> dict[str, Any]:
    """JSON Schemas by their names, each with its example where there is one.

    Args:
        ref_template: How one refers to another, with ``{model}`` in the place of its name.
    """
    wanted = [(schema, "validation") for schema in BODIES]
    wanted += [(schema, "serialization") for schema in REPLIES]
    _, made = models_json_schema(wanted, ref_template=ref_template)  # type: ignore[arg-type]
    schemas: dict[str, Any] = made["$defs"]
    for schema, example in EXAMPLES.items():
        schemas[schema.__name__]["examples"] = [example]
    return schemas
