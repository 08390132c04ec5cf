"""Requests to tokens: what owns the device and the weights.

``from runners import LLM`` answers prompts in this process; see ``runners.offline``.
"""

from typing import TYPE_CHECKING

from contracts.answer_forms import ChoiceForm, JsonForm
from contracts.generation import SamplingParams
from contracts.media import FrameSampling

if TYPE_CHECKING:
    from runners.offline import (
        LLM,
        CompletionOutput,
        Frames,
        Message,
        Prompt,
        PromptError,
        RequestOutput,
        VideoFile,
    )

__all__ = [
    "LLM",
    "ChoiceForm",
    "CompletionOutput",
    "FrameSampling",
    "Frames",
    "JsonForm",
    "Message",
    "Prompt",
    "PromptError",
    "RequestOutput",
    "SamplingParams",
    "VideoFile",
]


def __getattr__(name: str) -> object:
    """Load the names of ``runners.offline`` when they are used: the service needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runners import offline

    return getattr(offline, name)
