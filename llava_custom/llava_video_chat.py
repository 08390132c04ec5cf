"""Conversations to prompts, in the template LLaVA-Video was trained with (qwen_1_5).

Source: LLAVA.md 1.7; llava/conversation.py and docs/LLaVA_Video_1003.md of LLaVA-NeXT @ df179663.
"""

from collections.abc import Iterable, Iterator, Sequence

from contracts.chat import ChatMessage, ImagePart, VideoPart
from contracts.media import Clip
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.llava_video_visuals import plan_clip, plan_image
from llava_custom.prompt_tokenizer import Control, Piece
from llava_custom.system_text import system_text

DEFAULT_SYSTEM = "You are a helpful assistant."
TURN_BEGINS = Control("<|im_start|>")
TURN_ENDS = Control("<|im_end|>")


def render(messages: Sequence[ChatMessage], config: LlavaVideoConfig) -> Iterator[Piece]:
    """The pieces of a conversation that the assistant is to continue.

    System messages come first, joined; a turn's pictures and clips come before its text, as in
    training.
    """
    yield from _turn("system", [system_text(messages) or DEFAULT_SYSTEM])
    is_alone = sum(isinstance(part, ImagePart) for m in messages for part in m.parts) == 1
    for message in messages:
        if message.role != "system":
            yield from _turn(message.role, _content(message, config, is_alone=is_alone))
    yield from (TURN_BEGINS, "assistant\n")


def time_sentence(clip: Clip) -> str:
    """When the frames of a clip are, in the words of the training data.

    Source: docs/LLaVA_Video_1003.md @ df179663, verbatim: no space before "Please".
    """
    last_s = clip.frames[-1].time_s if clip.duration_s is None else clip.duration_s
    times = ",".join(f"{time_s:.2f}s" for time_s in clip.frame_times_s)
    return (
        f"The video lasts for {last_s:.2f} seconds, and {len(clip.frames)} frames are uniformly "
        f"sampled from it. These frames are located at {times}."
        "Please answer the following questions related to this video."
    )


def _turn(role: str, content: Iterable[Piece]) -> Iterator[Piece]:
    yield from (TURN_BEGINS, f"{role}\n", *content, TURN_ENDS, "\n")


def _content(message: ChatMessage, config: LlavaVideoConfig, *, is_alone: bool) -> Iterator[Piece]:
    for part in message.parts:
        if isinstance(part, VideoPart):
            yield from (plan_clip(part.clip, config), f"\n{time_sentence(part.clip)}\n")
        elif isinstance(part, ImagePart):
            yield from (plan_image(part, config, is_alone=is_alone), "\n")
    yield message.text
