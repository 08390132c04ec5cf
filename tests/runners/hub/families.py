"""The families that are tested, each with its tiny checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.runners.hub.tiny_llava import llava_15, onevision
from tests.runners.hub.tiny_qwen import qwen2_vl, qwen3_vl, qwen25_vl


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint.

    Attributes:
        name: Also of its fixture.
        write: Writes a tiny one.
        knows_video: Whether it takes clips as clips.
        language_layers: Where its quantised layers are.
    """

    name: str
    write: Callable[[Path], Path]
    knows_video: bool
    language_layers: str = "model.language_model.layers."


FAMILIES = [
    Family("llava-1.5", llava_15, knows_video=False),
    Family("llava-onevision", onevision, knows_video=True),
    Family("qwen2-vl", qwen2_vl, knows_video=True),
    Family("qwen2.5-vl", qwen25_vl, knows_video=True),
    Family("qwen3-vl", qwen3_vl, knows_video=True),
]
