"""Original LLaVA checkpoints on transformers classes: values in, tensors out.

Knows ``contracts``; nothing of HTTP, files of clients, queues or sampling of tokens.
"""

from llava_custom.embedded import Embedded
from llava_custom.families import knows, load_checkpoint, read_config
from llava_custom.load_options import LoadOptions
from llava_custom.model import VisionLanguageModel
from llava_custom.prompt import Prompt, Visual
from llava_custom.vision_chunks import Stopped

__all__ = [
    "Embedded",
    "LoadOptions",
    "Prompt",
    "Stopped",
    "VisionLanguageModel",
    "Visual",
    "knows",
    "load_checkpoint",
    "read_config",
]
