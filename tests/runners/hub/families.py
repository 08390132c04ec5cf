"""The families that are tested, each with its tiny checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.runners.hub.tiny_gemma import gemma3
from tests.runners.hub.tiny_llava import llava_15, next_video, onevision
from tests.runners.hub.tiny_qwen import qwen2_vl, qwen3_vl, qwen25_vl
from tests.runners.hub.tiny_smolvlm import smolvlm


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint.

    Attributes:
        name: Also of its fixture.
        write: Writes a tiny one.
        knows_video: Whether it takes clips as clips.
        language_layers: Where its quantised layers are.
        mixes_media: Whether transformers takes a picture and a clip in one conversation.
    """

    name: str
    write: Callable[[Path], Path]
    knows_video: bool
    language_layers: str = "model.language_model.layers."
    mixes_media: bool = True

    def takes(self, conversation: str) -> bool:
        """Whether transformers answers a conversation of that name."""
        needs = {"clip": self.knows_video, "both": self.knows_video and self.mixes_media}
        return needs.get(conversation, True)


FAMILIES = [
    Family("llava-1.5", llava_15, knows_video=False),
    Family("llava-onevision", onevision, knows_video=True),
    Family("llava-next-video", next_video, knows_video=True),
    Family("qwen2-vl", qwen2_vl, knows_video=True),
    Family("qwen2.5-vl", qwen25_vl, knows_video=True),
    Family("qwen3-vl", qwen3_vl, knows_video=True),
    Family("gemma3", gemma3, knows_video=False),
    Family(
        "smolvlm",
        smolvlm,
        knows_video=True,
        language_layers="model.text_model.layers.",
        mixes_media=False,
    ),
]
