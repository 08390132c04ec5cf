"""Where weights go: one device, or spread over all that there are.

The modules of a spread network move their inputs to where they compute; accelerate's hooks do
that. Whatever else is used with what they return has to be moved by its user.
"""

from typing import Any

import torch
from torch import nn

from llava_custom.load_options import LoadOptions


def placement(options: LoadOptions) -> dict[str, Any]:
    """The arguments of ``from_pretrained`` that say where the weights go."""
    if options.device_map == "single":
        return {"device_map": {"": options.device}}
    max_memory = None if options.max_memory is None else dict(options.max_memory)
    return {"device_map": "auto", "max_memory": max_memory}


def input_device(module: nn.Module) -> torch.device:
    """Where a module computes; its weights may wait elsewhere."""
    hook = getattr(module, "_hf_hook", None)
    device = getattr(hook, "execution_device", None)
    return next(module.parameters()).device if device is None else torch.device(device)


def places(network: nn.Module) -> dict[str, int]:
    """Where a loaded network's weights are, and how many bytes in each place.

    Weights that wait in the host's memory or on disk until they are needed count as ``offloaded``.
    """
    taken: dict[str, int] = {}
    for weight in network.parameters():
        place = "offloaded" if weight.is_meta else str(weight.device)
        taken[place] = taken.get(place, 0) + weight.nbytes
    return taken
