"""Conversations as OpenAI's chat API takes them. Thread-safe."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.chat import ChatMessage, ImagePart, Part, TextPart, VideoPart
from contracts.media import Clip
from runners.frame_times import frame_times
from runners.remote.pictures import CLIP_PREFIX, PREFIX, JpegEncoder

Json = dict[str, object]
ClipForm = Literal["images", "video"]


@dataclass(frozen=True, slots=True)
class ConversationWriter:
    """Writes messages, media as data URLs.

    Attributes:
        encoder: Makes files of pixels.
        clip_form: As pictures in time order after a line with their times, or as one
            ``video_url``: the frames as JPEGs at an even rate, which Lookout and vLLM take.
    """

    encoder: JpegEncoder
    clip_form: ClipForm

    def messages(self, messages: Sequence[ChatMessage]) -> list[Json]:
        """The whole conversation; encodes pictures, so not for an event loop's thread."""
        return [
            {"role": message.role, "content": self._content(message.parts)} for message in messages
        ]

    def clip(self, clip: Clip) -> list[Json]:
        """The parts that show a clip."""
        frames = [self.encoder.frame(frame.rgb) for frame in clip.frames]
        if self.clip_form == "video":
            url = CLIP_PREFIX + ",".join(frames)
            return [{"type": "video_url", "video_url": {"url": url, "fps": even_fps(clip)}}]
        return [text_part(frame_times(clip)), *(_image(frame) for frame in frames)]

    def _content(self, parts: Sequence[Part]) -> str | list[Json]:
        if all(isinstance(part, TextPart) for part in parts):
            return "\n".join(_texts(parts))
        return [piece for part in parts for piece in self._part(part)]

    def _part(self, part: Part) -> list[Json]:
        if isinstance(part, TextPart):
            return [text_part(part.text)]
        if isinstance(part, VideoPart):
            return self.clip(part.clip)
        return [_image(self.encoder.picture(part.picture.rgb), part)]


def text_part(text: str) -> Json:
    """A text among media."""
    return {"type": "text", "text": text}


def even_fps(clip: Clip) -> float:
    """Frames per second of a clip as if they were evenly spread; 1 for a single frame."""
    times = clip.frame_times_s
    span_s = times[-1] - times[0]
    return round((len(times) - 1) / span_s, 6) if span_s > 0 else 1.0


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    return (part.text for part in parts if isinstance(part, TextPart))


def _image(base64: str, part: ImagePart | None = None) -> Json:
    wish = {} if part is None or part.detail == "auto" else {"detail": part.detail}
    return {"type": "image_url", "image_url": {"url": PREFIX + base64, **wish}}
