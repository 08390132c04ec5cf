"""The instructions of a conversation, which every family's template says first."""

from collections.abc import Sequence

from contracts.chat import ChatMessage, TextPart
from contracts.errors import UnsupportedValue


def system_text(messages: Sequence[ChatMessage]) -> str:
    """The text of all system messages, one a line; empty where there is none.

    Raises:
        UnsupportedValue: A system message holds a picture or a clip.
    """
    said = [message for message in messages if message.role == "system"]
    if not all(isinstance(part, TextPart) for message in said for part in message.parts):
        raise UnsupportedValue("a system message holds a picture or a clip; put it in the user's")
    return "\n".join(message.text for message in said)
