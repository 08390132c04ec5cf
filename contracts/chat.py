"""A conversation: messages made of text, pictures and clips, media already decoded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.media import Clip, Picture

Role = Literal["system", "user", "assistant"]
Detail = Literal["auto", "low", "high"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text; control tokens of the model in it are only text."""

    text: str


@dataclass(frozen=True, slots=True)
class StreamExcerpt:
    """What was seen of a live stream.

    Attributes:
        frame_times_s: From the first frame, in order.
        captured_from: The moment of the first frame; ``captured_to`` is that of the last.
        age_s: Of the last frame when it was taken out of the buffer.
    """

    stream_id: str
    frame_times_s: tuple[float, ...]
    captured_from: datetime
    captured_to: datetime
    age_s: float


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A still picture; ``detail`` low shows it whole and once, without tiles.

    ``excerpt`` says which frame of a live stream it is, if it is one; runners need not know.
    """

    picture: Picture
    detail: Detail = "auto"
    excerpt: StreamExcerpt | None = None


@dataclass(frozen=True, slots=True)
class VideoPart:
    """The frames of a video, or of a live stream as ``excerpt`` says."""

    clip: Clip
    excerpt: StreamExcerpt | None = None


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
