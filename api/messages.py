"""Messages as clients write them, made into a draft of the conversation."""

from collections.abc import Iterator

from api.chat_schemas import ChatBody
from api.drafts import Draft, DraftMessage, DraftPart
from api.media_parts import ClipDefaults, clip_defaults, wanted_clip, wanted_picture
from api.part_schemas import (
    ContentPart,
    ImageContent,
    Message,
    PixelBounds,
    RefusalContent,
    TextContent,
    VideoContent,
)
from contracts.chat import Role, TextPart
from contracts.errors import NotFound, RequestError, UnsupportedValue
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


def draft_of(
    body: ChatBody, max_messages: int, max_part_chars: int | None, settings: Settings
) -> Draft:
    """The conversation of a body, its system messages joined in front.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    if len(body.messages) > max_messages:
        message = f"messages: expected at most {max_messages} (too_long)"
        raise RequestError(message, param="messages")
    defaults = clip_defaults(body, settings)
    draft = [
        DraftMessage(ROLES[message.role], tuple(_parts(message, index, defaults, settings)))
        for index, message in enumerate(body.messages)
    ]
    _check_text(draft, max_part_chars)
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


def _inner(part: ContentPart) -> tuple[str, PixelBounds | None]:
    if isinstance(part, ImageContent):
        return "image_url", part.image_url
    if isinstance(part, VideoContent):
        return "video_url", part.video_url
    return "", None


def _parts(
    message: Message, index: int, defaults: ClipDefaults, settings: Settings
) -> Iterator[DraftPart]:
    content = message.content
    if content is None or isinstance(content, str):
        if content is not None:
            yield TextPart(content)
        return
    for number, part in enumerate(content):
        path = f"messages[{index}].content[{number}]"
        _check_role(part, ROLES[message.role], message.role, path)
        yield _part(part, path, defaults, settings)


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


def _part(part: ContentPart, path: str, defaults: ClipDefaults, settings: Settings) -> DraftPart:
    match part:
        case TextContent():
            return TextPart(part.text)
        case RefusalContent():
            return TextPart(part.refusal)
        case ImageContent(image_url=image) if image is not None:
            return wanted_picture(image, at=f"{path}.image_url", settings=settings)
        case VideoContent(video_url=video) if video is not None:
            return wanted_clip(video, defaults, at=f"{path}.video_url", settings=settings)
        case _:
            raise _no_stream(f"{path}.stream.stream_id")


def _no_stream(path: str) -> NotFound:
    error = NotFound("No stream has been added.", param=path)
    error.code = "stream_not_found"
    return error


def _check_text(draft: list[DraftMessage], max_part_chars: int | None) -> None:
    lengths = [
        len(part.text) for message in draft for part in message.parts if isinstance(part, TextPart)
    ]
    if max_part_chars is not None and max(lengths, default=0) > max_part_chars:
        message = f"messages: expected at most {max_part_chars} characters in a part"
        raise RequestError(message, param="messages")
    if sum(lengths) > MAX_TEXT_CHARS:
        message = f"messages: expected at most {MAX_TEXT_CHARS} characters of text"
        raise RequestError(message, param="messages")
