"""The memory a network takes: counted before it is loaded, measured after.

Counts from shapes alone, so a network on the meta device will do. Knows nothing of devices.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from llava_custom.quantization import KEPT_MODULES, Scheme, quantised_layers, stored_tensors

GIB = 1 << 30
# Parts of a network by a word in a tensor's name, in this order; the rest is the language model.
PART_WORDS = {
    "vision tower": ("vision_tower", "vision_model", "visual"),
    "projector": ("projector", "image_newline", "connector"),
    "embeddings": ("embed_tokens",),
    "head": ("lm_head",),
}
LANGUAGE_MODEL = "language model"
SMALL_PARTS = "norms and biases"  # of a language model whose layers are quantised


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a network that is held in one precision.

    Attributes:
        name: Of the part.
        precision: ``nf4``, ``int8``, ``bfloat16``, ...
        num_parameters: Weights, however they are held.
        num_bytes: Memory, scales and buffers included.
    """

    name: str
    precision: str
    num_parameters: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a network needs on its device.

    Attributes:
        parts: The network's parts; the language model's layers and norms may be two.
        scheme: How the language model's linear layers are held.
        kv_bytes_per_token: Keys and values of one token of one answer.
    """

    parts: tuple[Part, ...]
    scheme: Scheme
    kv_bytes_per_token: int

    @property
    def num_bytes(self) -> int:
        """Memory of all weights."""
        return sum(part.num_bytes for part in self.parts)

    @property
    def num_parameters(self) -> int:
        """Weights, however they are held."""
        return sum(part.num_parameters for part in self.parts)


def count_memory(
    network: Any,  # noqa: ANN401 - transformers is untyped here
    scheme: Scheme,
    dtype: torch.dtype,
    kept_modules: Sequence[str] = KEPT_MODULES,
) -> MemoryNeed:
    """Count what a network will need.

    Args:
        network: transformers' network, not quantised; its tensors may be on the meta device.
        scheme: How its language model's linear layers will be held.
        dtype: Of everything else.
        kept_modules: Parts of it that are not quantised.
    """
    parameters: dict[tuple[str, str], int] = defaultdict(int)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    layers = {} if scheme.quantization == "none" else quantised_layers(network, kept_modules)
    for name, tensor in _tensors(network):
        layer, _, kind = name.rpartition(".")
        is_quantised = kind == "weight" and layer in layers
        precision = scheme.quantization if is_quantised else str(dtype).removeprefix("torch.")
        key = (_part_of(name, has_own_layers=is_quantised or not layers), precision)
        parameters[key] += tensor.numel() if isinstance(tensor, nn.Parameter) else 0
        sizes[key] += _size(tensor, scheme if is_quantised else Scheme(), dtype)
    order = [*PART_WORDS, LANGUAGE_MODEL, SMALL_PARTS]
    keys = sorted(sizes, key=lambda key: order.index(key[0]))
    parts = tuple(Part(*key, parameters[key], sizes[key]) for key in keys)
    return MemoryNeed(parts, scheme, kv_bytes_per_token(network.config, dtype))


def other_needs(
    network: Any,  # noqa: ANN401
    scheme: Scheme,
    dtype: torch.dtype,
    kept_modules: Sequence[str] = KEPT_MODULES,
) -> dict[str, MemoryNeed]:
    """What a network would need with another quantization, by the setting that makes it so."""
    schemes = [Scheme(quantization) for quantization in ("int8", "nf4")]
    return {
        f"VLM_QUANTIZATION={other.quantization}": count_memory(network, other, dtype, kept_modules)
        for other in schemes
        if other.quantization != scheme.quantization
    }


def kv_bytes_per_token(config: Any, dtype: torch.dtype) -> int:  # noqa: ANN401 - untyped there
    """Keys and values of one token in every layer of a transformers language model."""
    text = config.get_text_config()
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * head_dim * dtype.itemsize)


def measured_bytes(network: nn.Module) -> int:
    """Bytes of every tensor that a loaded network holds: parameters, buffers, scales.

    What an allocator rounds up, what else a device holds and what waits elsewhere is not in it.
    """
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in _held_tensors(network)
        if not tensor.is_meta
    }
    return sum(storages.values())


def _held_tensors(network: nn.Module) -> Iterator[Tensor]:
    for _, tensor in _tensors(network):
        yield tensor
        yield from _scales(tensor)


def _scales(weight: Tensor) -> Iterator[Tensor]:
    """What bitsandbytes keeps beside a quantised weight, not as a parameter or a buffer."""
    scale_of_rows = getattr(weight, "SCB", None)
    if scale_of_rows is not None:
        yield scale_of_rows
    state = getattr(weight, "quant_state", None)
    while state is not None:
        yield from (state.absmax, state.code)
        state = state.state2


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _size(tensor: Tensor, scheme: Scheme, dtype: torch.dtype) -> int:
    if scheme.quantization != "none":
        stored: Mapping[str, Any] = stored_tensors(tuple(tensor.shape), scheme)
        return sum(one.num_bytes for one in stored.values())
    is_cast = isinstance(tensor, nn.Parameter) and tensor.is_floating_point()
    return tensor.numel() * (dtype if is_cast else tensor.dtype).itemsize


def _part_of(name: str, *, has_own_layers: bool) -> str:
    for part, words in PART_WORDS.items():
        if any(word in name for word in words):
            return part
    return LANGUAGE_MODEL if has_own_layers else SMALL_PARTS
