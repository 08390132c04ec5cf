"""Conversations through the checkpoint's own chat template, with words kept apart from markup.

The template never sees what people wrote: it renders marks that nobody can guess, and the words are
put in their place afterwards, as values. So no text can open a turn, end one or claim a picture.
Safe to use from several threads.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from jinja2 import TemplateError

from contracts.chat import ChatMessage, ImagePart, Part, TextPart, VideoPart
from contracts.errors import RequestError, RunnerError, UnsupportedValue
from contracts.media import Clip
from runners.frame_times import frame_times
from runners.hub.pieces import Markup, Piece
from runners.hub.vision import Still, Vision

# Stripped by a template's ``trim``, and found in no template: it tells whether one trims.
EDGE = "\x1c"

Message = dict[str, Any]  # transformers' own form of a message


class ChatTemplate:
    """Renders conversations in the checkpoint's words.

    Args:
        tokenizer: transformers' fast tokenizer of the checkpoint, which renders.
        source: The template, in Jinja.
        vision: Says what stands for pictures and clips.
        clip_source: Another template, for conversations with clips.
    """

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401 - transformers is untyped here
        source: str,
        vision: Vision,
        *,
        clip_source: str | None = None,
    ) -> None:
        self._source = source
        self._clip_source = clip_source or source
        self._tokenizer = tokenizer
        self._vision = vision
        tokens = filter(None, (vision.image_token, vision.video_token))
        self._places = re.compile("|".join(map(re.escape, tokens)))

    def render(self, messages: Sequence[ChatMessage]) -> Iterator[Piece]:
        """The pieces of a conversation that the assistant is to continue.

        Raises:
            UnsupportedValue: A system message holds media.
            RequestError: The template refuses this order of messages, or drops some of the text.
        """
        said = _Said(is_alone=_num_pictures(messages) == 1)
        conversation = self._conversation(messages, said)
        source = self._clip_source if said.clips else self._source
        yield from self._with_media(said.put_back(self._rendered(conversation, source)), said)

    def _conversation(self, messages: Sequence[ChatMessage], said: "_Said") -> list[Message]:
        """The messages as transformers takes them; system messages first, as one."""
        system = [message for message in messages if message.role == "system"]
        if any(not isinstance(part, TextPart) for message in system for part in message.parts):
            raise UnsupportedValue(
                "a system message holds a picture or a clip; put it in the user's"
            )
        text = "\n".join(message.text for message in system)
        first = [{"role": "system", "content": [said.text(text)]}] if text else []
        return first + [
            {"role": message.role, "content": self._content(message.parts, said)}
            for message in messages
            if message.role != "system"
        ]

    def _content(self, parts: Iterable[Part], said: "_Said") -> list[dict[str, str]]:
        content: list[dict[str, str]] = []
        for part in parts if self._vision.video_token else _with_frame_times(parts):
            if isinstance(part, TextPart):
                content.append(said.text(part.text))
            elif isinstance(part, ImagePart):
                content.append(said.picture(part))
            elif self._vision.video_token is None:
                content += said.frames(part.clip)
            else:
                content.append(said.clip(part.clip))
        return content or [said.text("")]  # templates look at the first part

    def _rendered(self, conversation: list[Message], source: str) -> str:
        try:
            return self._apply(conversation, source)
        except TemplateError:
            pass  # many templates want turns to alternate
        try:
            return self._apply(_alternating(conversation), source)
        except TemplateError as exc:
            raise RequestError(
                f"messages: the model's chat template refuses this conversation: {exc}",
                param="messages",
            ) from exc

    def _apply(self, conversation: list[Message], source: str) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            conversation, chat_template=source, tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _with_media(self, pieces: Iterable[Piece], said: "_Said") -> Iterator[Piece]:
        """The pieces, with what stands for media where the template has their places."""
        stills, clips = iter(said.stills), iter(said.clips)
        for piece in pieces:
            if not isinstance(piece, Markup):
                yield piece
                continue
            at = 0
            for place in self._places.finditer(piece.text):
                yield Markup(piece.text[at : place.start()])
                if place[0] == self._vision.image_token:
                    yield from self._vision.picture(_next(stills, "picture"))
                else:
                    yield from self._vision.clip(_next(clips, "clip"))
                at = place.end()
            yield Markup(piece.text[at:])
        if next(stills, None) is not None or next(clips, None) is not None:
            raise RunnerError("the checkpoint's chat template has no place for one of the media")


@dataclass(slots=True)
class _Said:
    """What a conversation says, taken out of it; in the order in which it was said."""

    is_alone: bool
    texts: list[str] = field(default_factory=list)
    stills: list[Still] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    _nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    def text(self, text: str) -> dict[str, str]:
        if not text.strip():
            return {"type": "text", "text": text}  # templates ask whether there is any
        self.texts.append(text.encode(errors="replace").decode())  # JSON may hold half a surrogate
        mark = f"{EDGE}{self._nonce}{len(self.texts) - 1};{EDGE}"
        return {"type": "text", "text": mark}

    def picture(self, part: ImagePart) -> dict[str, str]:
        is_whole = part.detail == "low"
        self.stills.append(Still(part.picture.rgb, "image", self.is_alone, is_whole))
        return {"type": "image"}

    def clip(self, clip: Clip) -> dict[str, str]:
        self.clips.append(clip)
        return {"type": "video"}

    def frames(self, clip: Clip) -> list[dict[str, str]]:
        """A clip as pictures."""
        self.stills += [
            Still(frame.rgb, "video", is_alone=False, is_whole=True) for frame in clip.frames
        ]
        return [{"type": "image"}] * len(clip.frames)

    def put_back(self, rendered: str) -> Iterator[Piece]:
        """The template's text and the words; trimmed where the template trims."""
        at, seen = 0, set()
        for mark in re.finditer(f"({EDGE}?){self._nonce}(\\d+);({EDGE}?)", rendered):
            yield Markup(rendered[at : mark.start()])
            left, index, right = mark[1], int(mark[2]), mark[3]
            text = self.texts[index]
            text = text if left else text.lstrip()
            yield text if right else text.rstrip()
            seen.add(index)
            at = mark.end()
        yield Markup(rendered[at:])
        if len(seen) < len(self.texts):
            raise RequestError(
                "messages: the model's chat template has no place for some of the text; "
                "say it in a user message",
                param="messages",
            )


def _with_frame_times(parts: Iterable[Part]) -> list[Part]:
    """The parts, with a line on every clip before the text that follows it."""
    found: list[Part] = []
    lines: list[str] = []
    for part in parts:
        if isinstance(part, VideoPart):
            lines.append(frame_times(part.clip))
        elif isinstance(part, TextPart) and lines:
            part = TextPart("\n".join([*lines, part.text]))
            lines = []
        found.append(part)
    return [*found, TextPart("\n".join(lines))] if lines else found


def _num_pictures(messages: Iterable[ChatMessage]) -> int:
    return sum(isinstance(part, ImagePart) for message in messages for part in message.parts)


def _alternating(conversation: Iterable[Message]) -> list[Message]:
    """Messages of one role in a row as one message."""
    return [
        {"role": role, "content": [part for message in run for part in message["content"]]}
        for role, run in groupby(conversation, key=lambda message: message["role"])
    ]


def _next(media: Iterator[Any], kind: str) -> Any:  # noqa: ANN401
    found = next(media, None)
    if found is None:
        raise RunnerError(f"the checkpoint's chat template has a place for a {kind} too many")
    return found
