"""What people ask ``LLM``: a text, a text with media, a conversation, or vLLM's dictionary.

A prompt is checked as a whole before anything is computed; pixels in memory are converted when its
turn comes. Errors name the prompt by its index.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from api.chat_request import OPENAI_RULES, read_chat
from api.drafts import Draft, DraftMessage
from api.media_parts import WantedClip
from api.messages import join_system
from contracts.chat import Role, TextPart
from contracts.errors import RequestError
from contracts.media import FramePolicy
from contracts.settings import Settings
from runners.offline.media_inputs import (
    ClipInput,
    ImageInput,
    PromptPart,
    clip_part,
    draft_part,
    image_part,
)
from runners.offline.pixels import Frames, PromptError
from runners.offline.vllm_prompts import vllm_parts


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What one side says: pictures and clips, of a user only, and a text.

    Attributes:
        text: May be empty.
        images: Paths, URLs, Pillow pictures, or uint8 arrays (H, W, 3).
        clips: Paths, URLs, a ``VideoFile``, ``Frames``, or uint8 arrays (F, H, W, 3).
        role: Who says it.
    """

    text: str
    images: Sequence[ImageInput] = ()
    clips: Sequence[ClipInput] = ()
    role: Role = "user"


Conversation = Sequence[Message] | Sequence[Mapping[str, Any]]  # the latter as in the chat API
Prompt = str | Message | Mapping[str, Any] | Conversation
Asked = Callable[[FramePolicy], Draft]  # a prompt that was found good; called when its turn comes


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A checked message."""

    role: Role
    parts: Sequence[PromptPart]


def read_prompt(prompt: object, *, at: str, settings: Settings) -> Asked:
    """Check a prompt.

    Args:
        prompt: As ``Prompt`` says, and perhaps not.
        at: What errors call it, ``prompts[3]``.
        settings: How many media one prompt may have.

    Raises:
        PromptError: It cannot be used.
    """
    match prompt:
        case str():
            turns = [Turn("user", [TextPart(prompt)])]
        case Message():
            turns = [_turn(prompt, at, settings)]
        case Mapping():
            turns = [Turn("user", vllm_parts(prompt, at=at, settings=settings))]
        case [Mapping(), *_]:
            return _openai_messages(prompt, at, settings)
        case [Message(), *_]:
            turns = [_turn(one, f"{at}[{i}]", settings) for i, one in enumerate(prompt)]
        case _:
            raise PromptError(
                f"{at}: expected a text, a Message, a list of messages, or a dictionary with prompt"
                f" and multi_modal_data, got {_told(prompt)}"
            )
    _check_counts(turns, at, settings)
    return partial(_draft, turns, settings)


def _turn(message: object, at: str, settings: Settings) -> Turn:
    if not isinstance(message, Message):
        raise PromptError(f"{at}: expected a Message like the first, got {_told(message)}")
    if not isinstance(message.text, str):
        raise PromptError(f"{at}.text: expected a text, got {_told(message.text)}")
    if message.role not in get_args(Role):
        raise PromptError(f"{at}.role: expected one of {', '.join(get_args(Role))}")
    media = [
        *(image_part(one, at=path) for path, one in _each(message.images, f"{at}.images")),
        *(
            clip_part(one, at=path, settings=settings)
            for path, one in _each(message.clips, f"{at}.clips")
        ),
    ]
    if media and message.role != "user":
        raise PromptError(f"{at}: expected media in user messages only, this is {message.role}")
    return Turn(message.role, [*media, TextPart(message.text)])


def _each(media: object, at: str) -> Iterable[tuple[str, object]]:
    """The media with their paths.

    Raises:
        PromptError: This is one medium, not several: a text would be taken letter by letter.
    """
    if not isinstance(media, list | tuple):
        raise PromptError(f"{at}: expected a list, got {_told(media)}")
    return ((f"{at}[{index}]", one) for index, one in enumerate(media))


def _check_counts(turns: Sequence[Turn], at: str, settings: Settings) -> None:
    parts = [part for turn in turns for part in turn.parts if not isinstance(part, TextPart)]
    num_clips = sum(isinstance(part, WantedClip | Frames) for part in parts)
    for what, count, limit in (
        ("pictures", len(parts) - num_clips, settings.max_images),
        ("clips", num_clips, settings.max_videos),
    ):
        if count > limit:
            raise PromptError(f"{at}: expected at most {limit} {what}, got {count}")


def _openai_messages(messages: Sequence[object], at: str, settings: Settings) -> Asked:
    """Messages as ``/v1/chat/completions`` takes them, read by the same code."""
    try:
        asked = read_chat({"messages": list(messages)}, OPENAI_RULES, settings)
    except RequestError as exc:
        raise PromptError(f"{at}: {exc.message}") from exc
    if asked.ignored:
        raise PromptError(f"{at}: expected no field {', '.join(asked.ignored)}")
    return lambda policy: asked.draft


def _draft(turns: Sequence[Turn], settings: Settings, policy: FramePolicy) -> Draft:
    return join_system([_message(turn, settings, policy) for turn in turns])


def _message(turn: Turn, settings: Settings, policy: FramePolicy) -> DraftMessage:
    return DraftMessage(turn.role, tuple(draft_part(one, settings, policy) for one in turn.parts))


def _told(value: object) -> str:
    return type(value).__name__
