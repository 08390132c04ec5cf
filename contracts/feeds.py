"""What a reader of the event feed gets, and why its feed ends."""

from dataclasses import dataclass
from typing import Literal

from contracts.event_json import JsonObject, message_json
from contracts.events import EventMessage

ReaderKind = Literal["sse", "ws", "jps"]
FeedEnd = Literal["closed", "lagging", "shutdown"]


@dataclass(frozen=True, slots=True)
class FeedHello:
    """The first item: the cursor that the feed starts from, and the oldest message kept."""

    cursor: int
    oldest: int


@dataclass(frozen=True, slots=True)
class FeedGap:
    """Messages that were asked for and are not kept any more, both ends included."""

    first: int
    last: int


FeedItem = FeedHello | FeedGap | EventMessage


def feed_json(item: FeedItem, public_url: str) -> JsonObject:
    """An item as feeds send it."""
    match item:
        case FeedHello(cursor, oldest):
            return {"kind": "hello", "cursor": str(cursor), "oldest": str(oldest)}
        case FeedGap(first, last):
            return {"kind": "gap", "from": str(first), "to": str(last)}
        case EventMessage():
            return message_json(item, public_url)
