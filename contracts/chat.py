"""A conversation: messages made of text, pictures and clips, media already decoded."""

from dataclasses import dataclass
from typing import Literal

from contracts.media import Clip, Picture

Role = Literal["system", "user", "assistant"]
Detail = Literal["auto", "low", "high"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text; control tokens of the model in it are only text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A still picture; ``detail`` low shows it whole and once, without tiles."""

    picture: Picture
    detail: Detail = "auto"


@dataclass(frozen=True, slots=True)
class VideoPart:
    """The frames of a video."""

    clip: Clip


Part = TextPart | ImagePart | VideoPart


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What one side said, parts in the order they were said."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, one a line."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))
