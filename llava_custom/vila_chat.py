"""Conversations to prompts, in the template VILA1.5 was trained with (vicuna_v1).

A frame is a picture among others: nothing says when it was, or that it is of a clip. The roles are
words, not tokens, so a text that goes on with "ASSISTANT:" looks like a turn; only ``</s>``, which
no text can hold, ends one for certain.

Source: LLAVA.md 3.5; llava/conversation.py and llava/mm_utils.py of VILA, vila1.5 @ 6b941da1.
"""

from collections.abc import Iterator, Sequence

from contracts.chat import ChatMessage, ImagePart, VideoPart
from llava_custom.prompt import Visual
from llava_custom.prompt_tokenizer import Control, Piece
from llava_custom.system_text import system_text

DEFAULT_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
PROMPT_BEGINS = Control("<s>")
ANSWER_ENDS = Control("</s>")


def render(messages: Sequence[ChatMessage], tokens_per_picture: int) -> Iterator[Piece]:
    """The pieces of a conversation that the assistant is to continue.

    System messages come first, joined; a turn's pictures and frames come before its text, as in
    training.
    """
    yield from (PROMPT_BEGINS, f"{system_text(messages) or DEFAULT_SYSTEM} ")
    for message in messages:
        if message.role == "user":
            yield from ("USER: ", *_content(message, tokens_per_picture), " ")
        elif message.role == "assistant":
            yield from ("ASSISTANT: ", *_content(message, tokens_per_picture), ANSWER_ENDS)
    yield "ASSISTANT:"


def _content(message: ChatMessage, tokens_per_picture: int) -> Iterator[Piece]:
    for part in message.parts:
        if isinstance(part, VideoPart):
            for frame in part.clip.frames:
                yield from (Visual("video", tokens_per_picture, (frame.rgb,)), "\n")
        elif isinstance(part, ImagePart):
            yield from (Visual("image", tokens_per_picture, (part.picture.rgb,)), "\n")
    yield message.text
