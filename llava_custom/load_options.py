"""How a checkpoint is loaded."""

from dataclasses import dataclass
from typing import Literal

import torch
from transformers.utils import is_flash_attn_2_available

from contracts.errors import WeightsError
from llava_custom.quantization import Quantization, Scheme

Attention = Literal["auto", "sdpa", "flash_attention_2", "eager"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a checkpoint is loaded.

    Attributes:
        quantization: Precision of the language model's linear layers.
        double_quant: Whether the scales of nf4 are quantised too.
        attention: Attention kernel; auto takes flash-attn where it can run, else sdpa.
        device: ``cpu``, ``cuda``, ``cuda:1``, ...
        dtype: Of weights that are not quantised, and of the arithmetic.
        vision_chunk: Pictures the vision tower takes at once.
    """

    quantization: Quantization = "none"
    double_quant: bool = True
    attention: Attention = "auto"
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    vision_chunk: int = 16

    @property
    def scheme(self) -> Scheme:
        """How the language model's linear layers are held."""
        return Scheme(self.quantization, self.double_quant)


def attention_kernel(options: LoadOptions) -> str:
    """Transformers' name of the attention kernel that the options stand for.

    Raises:
        WeightsError: flash-attn was asked for where it cannot run.
    """
    # flash-attn has kernels for CUDA and half precision alone.
    is_half = options.dtype in (torch.bfloat16, torch.float16)
    can_flash = is_flash_attn_2_available() and options.device.startswith("cuda") and is_half
    if options.attention == "flash_attention_2" and not can_flash:
        raise WeightsError(
            "attention flash_attention_2 needs flash-attn, a CUDA device and bfloat16 or float16; "
            "use sdpa or auto"
        )
    if options.attention == "auto":
        return "flash_attention_2" if can_flash else "sdpa"
    return options.attention
