"""bitsandbytes: which layers are quantised, what a quantised layer holds, and its settings.

The language model's linear layers alone are quantised; the vision tower, the projector, the
embeddings and the head stay in the compute type.
"""

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, Literal

import torch
from torch import nn
from transformers.quantizers.quantizers_utils import should_convert_module

from contracts.errors import WeightsError

Quantization = Literal["none", "nf4", "int8"]

# transformers matches a name from the START of the dotted path: "vision_tower" alone would match
# nothing, in silence. A list given here replaces its own, so lm_head has to be in it.
KEPT_MODULES = ("model.vision_tower", "model.multi_modal_projector", "lm_head")

BLOCK_SIZE = 64  # weights that share one scale
NESTED_BLOCK_SIZE = 256  # scales that share one scale of their own


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the linear layers of a language model are held.

    Attributes:
        quantization: ``none`` leaves them in the compute type.
        double_quant: Whether the scales of nf4 are quantised too; 0.37 bits less per weight.
    """

    quantization: Quantization = "none"
    double_quant: bool = True

    def __str__(self) -> str:
        """The scheme in a few words."""
        is_double = self.quantization == "nf4" and self.double_quant
        return "nf4, scales quantised too" if is_double else self.quantization


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that a quantised layer keeps; ``shape`` in the file, where it is written there."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """What it takes in memory."""
        return prod(self.shape) * self.dtype.itemsize


def stored_tensors(shape: tuple[int, ...], scheme: Scheme) -> Mapping[str, StoredTensor]:
    """What stands in the place of one linear layer's weight.

    Args:
        shape: Of the weight, (out features, in features).
        scheme: Not ``none``.

    Returns:
        By the name that the weight's own name, without ``weight``, begins.

    Source: bitsandbytes 0.50 ``QuantState.as_dict``, ``Linear8bitLt._save_to_state_dict``.
    """
    if scheme.quantization == "int8":
        return {
            "weight": StoredTensor(shape, torch.int8),
            "SCB": StoredTensor(shape[:1], torch.float32),
        }
    num_blocks = ceil(prod(shape) / BLOCK_SIZE)
    tensors = {
        "weight": StoredTensor((ceil(prod(shape) / 2), 1), torch.uint8),
        "weight.quant_map": StoredTensor((16,), torch.float32),
    }
    if not scheme.double_quant:
        return tensors | {"weight.absmax": StoredTensor((num_blocks,), torch.float32)}
    num_nested = ceil(num_blocks / NESTED_BLOCK_SIZE)
    return tensors | {
        "weight.absmax": StoredTensor((num_blocks,), torch.uint8),
        "weight.nested_absmax": StoredTensor((num_nested,), torch.float32),
        "weight.nested_quant_map": StoredTensor((256,), torch.float32),
    }


def quantised_layers(
    network: nn.Module, kept_modules: Sequence[str] = KEPT_MODULES
) -> dict[str, tuple[int, int]]:
    """Names and shapes (out features, in features) of the layers that a scheme concerns."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in network.named_modules()
        if type(module) is nn.Linear and should_convert_module(name, list(kept_modules))
    }


def quantization_config(
    scheme: Scheme,
    device: str,
    text: Mapping[str, object],
    kept_modules: Sequence[str] = KEPT_MODULES,
) -> Any:  # noqa: ANN401 - transformers is untyped here
    """The ``BitsAndBytesConfig`` of transformers, or ``None`` for weights as they are.

    Args:
        scheme: How the language model's linear layers are held.
        device: Where they will run.
        text: Sizes of the language model, as ``Qwen2Config`` names them.
        kept_modules: Parts of the network that stay as they are.

    Raises:
        WeightsError: bitsandbytes is missing, or cannot run these sizes on this device.

    Source: LLAVA.md 6; transformers 5.23 ``should_convert_module``.
    """
    if scheme.quantization == "none":
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise WeightsError(
            f"quantization {scheme.quantization} needs bitsandbytes; install it or use none"
        )
    from transformers import BitsAndBytesConfig

    kept = list(kept_modules)
    if scheme.quantization == "int8":
        # It warns of its own casts in every layer of every step.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    if device == "cpu":
        # It warns that a package with other kernels is missing; its own do.
        logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
        _check_cpu_sizes(text)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=scheme.double_quant,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=kept,
    )


def _check_cpu_sizes(text: Mapping[str, object]) -> None:
    """Refuse layers that bitsandbytes cannot repack for CPUs with AVX512-BF16.

    They would fail in the first forward with a RuntimeError about a shape. LLAVA.md 6.3.
    """
    size = {key: value for key, value in text.items() if isinstance(value, int)}
    head_width = size.get("head_dim") or size["hidden_size"] // size["num_attention_heads"]
    kv_width = head_width * size["num_key_value_heads"]
    divisors = {
        "hidden_size": (size["hidden_size"], 64),
        "intermediate_size": (size["intermediate_size"], 64),
        "the width of keys": (kv_width, 32),
    }
    for name, (width, divisor) in divisors.items():
        if width % divisor:
            raise WeightsError(
                f"quantization nf4 on a CPU needs {name} to be a multiple of {divisor}, "
                f"it is {width}; use none or int8"
            )
