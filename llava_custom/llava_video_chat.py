"""Conversations to prompts, in the template the checkpoint was trained with (qwen_1_5).

Text is tokenised by a tokenizer that knows no control token, and places of media are values, not
words: no text can open a turn, end one or claim a picture. Safe to use from several threads.

Source: LLAVA.md 1.7; llava/conversation.py and docs/LLaVA_Video_1003.md of LLaVA-NeXT @ df179663.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from typing import Any

from tokenizers import Tokenizer

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.errors import UnsupportedValue, WeightsError
from contracts.media import Clip
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.llava_video_visuals import plan_clip, plan_image
from llava_custom.prompt import Prompt, Visual

DEFAULT_SYSTEM = "You are a helpful assistant."


class Control(Enum):
    """The tokens that shape a conversation."""

    TURN_BEGINS = "<|im_start|>"
    TURN_ENDS = "<|im_end|>"


Piece = str | Control | Visual


class PromptTokenizer:
    """Tokenises pieces: text as text only, control tokens by their ids.

    The original's tokenizer splits at control tokens before anything else, so going piece by piece
    gives the ids that it gives for the whole prompt.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers is untyped here
        vocabulary: dict[str, int] = tokenizer.get_added_vocab()
        missing = [control.value for control in Control if control.value not in vocabulary]
        if missing:
            raise WeightsError(f"tokenizer.json has no control token {', '.join(missing)}")
        self._control_ids = {control: vocabulary[control.value] for control in Control}
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        plain = {**rules, "added_tokens": [], "truncation": None, "padding": None}
        self._plain = Tokenizer.from_str(json.dumps(plain))
        # A tokenizer of whole words may hold control tokens as words, too: those vanish.
        self._forbidden = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    @property
    def turn_end_id(self) -> int:
        """The token with which the assistant ends its turn."""
        return self._control_ids[Control.TURN_ENDS]

    def tokenize(self, pieces: Iterable[Piece]) -> Prompt:
        """Token ids of the pieces; texts between two visuals or control tokens are one text."""
        segments: list[tuple[int, ...] | Visual] = []
        for is_visual, run in groupby(pieces, key=lambda piece: isinstance(piece, Visual)):
            if is_visual:
                segments.extend(piece for piece in run if isinstance(piece, Visual))
            else:
                segments.append(tuple(self._token_ids(run)))
        return Prompt(tuple(segments))

    def _token_ids(self, pieces: Iterable[Piece]) -> Iterator[int]:
        for kind, run in groupby(pieces, key=type):
            if kind is Control:
                yield from (self._control_ids[piece] for piece in run if isinstance(piece, Control))
            else:
                text = "".join(piece for piece in run if isinstance(piece, str))
                text = text.encode(errors="replace").decode()  # JSON may hold half a surrogate pair
                ids = self._plain.encode(text, add_special_tokens=False).ids
                yield from (token_id for token_id in ids if token_id not in self._forbidden)


def render(messages: Sequence[ChatMessage], config: LlavaVideoConfig) -> Iterator[Piece]:
    """The pieces of a conversation that the assistant is to continue.

    System messages come first, joined; a turn's pictures and clips come before its text, as in
    training.
    """
    system = "\n".join(message.text for message in messages if message.role == "system")
    yield from _turn("system", [system or DEFAULT_SYSTEM])
    is_alone = sum(isinstance(part, ImagePart) for m in messages for part in m.parts) == 1
    for message in messages:
        if message.role != "system":
            yield from _turn(message.role, _content(message, config, is_alone=is_alone))
        elif not all(isinstance(part, TextPart) for part in message.parts):
            raise UnsupportedValue(
                "a system message holds a picture or a clip; put it in the user's"
            )
    yield from (Control.TURN_BEGINS, "assistant\n")


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
    yield from (Control.TURN_BEGINS, f"{role}\n", *content, Control.TURN_ENDS, "\n")


def _content(message: ChatMessage, config: LlavaVideoConfig, *, is_alone: bool) -> Iterator[Piece]:
    for part in message.parts:
        if isinstance(part, VideoPart):
            yield from (plan_clip(part.clip, config), f"\n{time_sentence(part.clip)}\n")
        elif isinstance(part, ImagePart):
            yield from (plan_image(part, config, is_alone=is_alone), "\n")
    yield message.text
