"""Original LLaVA checkpoints on transformers classes: values in, tensors out.

Knows ``contracts``; nothing of HTTP, files of clients, queues or sampling of tokens.
"""

from llava_custom.checkpoint import read_config
from llava_custom.embedded import Embedded
from llava_custom.llava_video_loading import LoadOptions, load_checkpoint
from llava_custom.model import LlavaVideo, Stopped
from llava_custom.prompt import Prompt, Visual

__all__ = [
    "Embedded",
    "LlavaVideo",
    "LoadOptions",
    "Prompt",
    "Stopped",
    "Visual",
    "load_checkpoint",
    "read_config",
]
