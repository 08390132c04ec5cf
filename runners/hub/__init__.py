"""Checkpoints in transformers' own layout, on transformers' own classes.

Knows ``contracts`` and the values of ``llava_custom``; nothing of requests, queues or sampling of
tokens. No torchvision: pictures go through Pillow, frames of clips through torch.
"""

from runners.hub.architectures import ARCHITECTURES
from runners.hub.loading import load_hub_checkpoint

__all__ = ["ARCHITECTURES", "load_hub_checkpoint"]
