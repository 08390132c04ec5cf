"""Messages as clients write them, made into a draft of the conversation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from api.chat_schemas import MAX_MESSAGES, ChatBody
from api.drafts import Draft, DraftMessage, DraftPart
from api.media_parts import ClipDefaults, clip_defaults, wanted_clip, wanted_picture
from api.part_schemas import (
    ContentPart,
    ImageContent,
    ImageUrl,
    Message,
    RefusalContent,
    StreamContent,
    StreamRef,
    TextContent,
    VideoContent,
    VideoUrl,
)
from api.stream_parts import wanted_stream
from api.wire_schemas import WireSchema
from contracts.chat import Role, TextPart
from contracts.errors import RequestError, UnsupportedValue
from contracts.settings import Settings

MAX_TEXT_CHARS = 1_000_000

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "assistent": "assistant",
    "tool": "user",
    "function": "user",
}


@dataclass(frozen=True, slots=True)
class MessageRules:
    """In what the addresses of the chat API differ; ``None`` is no rule.

    Attributes:
        takes_any_stream: Whether a ``stream_id`` that is not known means the only stream.
    """

    max_messages: int = MAX_MESSAGES
    max_part_chars: int | None = None
    takes_any_stream: bool = False


def draft_of(body: ChatBody, rules: MessageRules, settings: Settings) -> Draft:
    """The conversation of a body, its system messages joined in front.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    if len(body.messages) > rules.max_messages:
        message = f"messages: expected at most {rules.max_messages} (too_long)"
        raise RequestError(message, param="messages")
    reader = PartReader(clip_defaults(body, settings), rules, settings)
    places = [f"messages[{index}]" for index in range(len(body.messages))]
    return read_messages(dict(zip(places, body.messages, strict=True)), reader, at="messages")


def read_messages(messages: Mapping[str, Message], reader: "PartReader", *, at: str) -> Draft:
    """The conversation of messages, its system messages joined in front.

    Args:
        messages: In order, each under the path of the request where it stands.
        reader: Reads their parts.
        at: The path of all of them.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    draft = [
        DraftMessage(ROLES[message.role], tuple(_parts(message, path, reader)))
        for path, message in messages.items()
    ]
    _check_text(draft, reader.rules.max_part_chars, at)
    return join_system(draft)


def join_system(draft: list[DraftMessage]) -> Draft:
    """The messages with those of the system as one in front; without any, as they are."""
    said = [
        part.text
        for message in draft
        if message.role == "system"
        for part in message.parts
        if isinstance(part, TextPart)
    ]
    rest = tuple(message for message in draft if message.role != "system")
    if len(rest) == len(draft):
        return rest
    return (DraftMessage("system", (TextPart("\n".join(said)),)), *rest)


def unknown_part_names(body: ChatBody) -> Iterator[str]:
    """Paths of the fields that parts have and need not."""
    for i, message in enumerate(body.messages):
        parts = message.content if isinstance(message.content, list) else []
        for j, part in enumerate(parts):
            path = f"messages[{i}].content[{j}]"
            yield from (f"{path}.{name}" for name in part.unknown_names())
            field, inner = _inner(part)
            if inner is not None:
                yield from (f"{path}.{field}.{name}" for name in inner.unknown_names())


def _inner(part: ContentPart) -> tuple[str, WireSchema | None]:
    if isinstance(part, ImageContent):
        return "image_url", part.image_url
    if isinstance(part, VideoContent):
        return "video_url", part.video_url
    if isinstance(part, StreamContent):
        return "stream", part.stream
    return "", None


def _parts(message: Message, at: str, reader: "PartReader") -> Iterator[DraftPart]:
    content = message.content
    if content is None or isinstance(content, str):
        if content is not None:
            yield TextPart(content)
        return
    for number, part in enumerate(content):
        path = f"{at}.content[{number}]"
        _check_role(part, ROLES[message.role], message.role, path)
        yield reader.read(part, path)


def _check_role(part: ContentPart, role: Role, written: str, path: str) -> None:
    if isinstance(part, TextContent):
        return
    if isinstance(part, RefusalContent):
        if role != "assistant":
            raise UnsupportedValue(
                f"{path}.type: expected refusal in assistant messages only", param=f"{path}.type"
            )
    elif written != "user":
        raise RequestError(
            f"{path}.type: expected media in user messages only", param=f"{path}.type"
        )


@dataclass(frozen=True, slots=True)
class PartReader:
    """Reads the parts of one body."""

    defaults: ClipDefaults
    rules: MessageRules
    settings: Settings

    def read(self, part: ContentPart, path: str) -> DraftPart:
        """What the part at a path asks for."""
        match part:
            case TextContent():
                return TextPart(part.text)
            case RefusalContent():
                return TextPart(part.refusal)
            case ImageContent():
                image = part.image_url or ImageUrl()
                return wanted_picture(image, at=f"{path}.image_url", settings=self.settings)
            case VideoContent():
                video, at = part.video_url or VideoUrl(), f"{path}.video_url"
                return wanted_clip(video, self.defaults, at=at, settings=self.settings)
            case StreamContent():
                return wanted_stream(
                    part.stream or StreamRef(),
                    at=f"{path}.stream",
                    settings=self.settings,
                    takes_any=self.rules.takes_any_stream,
                )


def _check_text(draft: list[DraftMessage], max_part_chars: int | None, at: str) -> None:
    lengths = [
        len(part.text) for message in draft for part in message.parts if isinstance(part, TextPart)
    ]
    if max_part_chars is not None and max(lengths, default=0) > max_part_chars:
        message = f"{at}: expected at most {max_part_chars} characters in a part"
        raise RequestError(message, param=at)
    if sum(lengths) > MAX_TEXT_CHARS:
        message = f"{at}: expected at most {MAX_TEXT_CHARS} characters of text"
        raise RequestError(message, param=at)
