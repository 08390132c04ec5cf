"""Answers without a server: ``LLM`` in a program, batches of requests in files.

Wires a runner, the media reader and the chat API's own reading of requests, as ``service.py`` does
with a port. So this package, and nothing else in ``runners``, may import ``api`` and ``media``; and
only ``runners`` itself and ``runners.batch``, by which people reach it, may import this package.
"""

from runners.offline.llm import LLM
from runners.offline.media_inputs import VideoFile
from runners.offline.outputs import CompletionOutput, RequestOutput
from runners.offline.pixels import Frames, PromptError
from runners.offline.prompts import Message, Prompt

__all__ = [
    "LLM",
    "CompletionOutput",
    "Frames",
    "Message",
    "Prompt",
    "PromptError",
    "RequestOutput",
    "VideoFile",
]
