"""Linear layers for CPUs whose weights lie as oneDNN multiplies them.

As checkpoints have them, weights are laid out anew for every product; for a few rows that takes
longer than the product. Here it is done once. Outputs equal ``torch.nn.Linear``'s, bit by bit in
bfloat16 and within rounding in float32.
"""

from typing import TypeGuard

import torch
from torch import Tensor, nn

DTYPES = (torch.bfloat16, torch.float32)
NUM_ROWS = 16  # that the layout is chosen for; it serves any number


class PackedLinear(nn.Module):
    """A linear layer that can only compute.

    Args:
        linear: On the CPU, in bfloat16 or float32; not needed any more.

    Attributes:
        weight: Has the shape and type of the weight, which some classes ask for, and no numbers.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        weight = linear.weight.detach()
        self.weight = torch.full((1, 1), torch.nan, dtype=weight.dtype).expand(weight.shape)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, NUM_ROWS)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        outputs: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self._packed, self._bias, "none", [], ""
        )
        return outputs


def pack_linears(network: nn.Module) -> None:
    """Exchange linear layers on the CPU, but for those whose weight another module has as well."""
    if not torch.backends.mkldnn.is_available():
        return
    shared = _shared_weights(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if _can_pack(child) and id(child.weight) not in shared:
                setattr(module, name, PackedLinear(child))


def _can_pack(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether it is a linear layer and no kind of one, such as those that are quantised."""
    if type(module) is not nn.Linear:
        return False
    return module.weight.device.type == "cpu" and module.weight.dtype in DTYPES


def _shared_weights(network: nn.Module) -> set[int]:
    """Weights that several modules have, such as those of a head that is tied to embeddings."""
    seen: set[int] = set()
    shared: set[int] = set()
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            (shared if id(parameter) in seen else seen).add(id(parameter))
    return shared
