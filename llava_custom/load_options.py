"""How a checkpoint is loaded."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from transformers.utils import is_flash_attn_2_available

from contracts.errors import WeightsError
from llava_custom.progress import Listener, unheard
from llava_custom.quantization import Quantization, Scheme

logger = logging.getLogger(__name__)

Attention = Literal["auto", "sdpa", "flash_attention_2", "eager"]
DeviceMap = Literal["single", "auto"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a checkpoint is loaded.

    Attributes:
        quantization: Precision of the language model's linear layers.
        double_quant: Whether the scales of nf4 are quantised too.
        attention: Attention kernel; auto takes flash-attn where it can run, else sdpa.
        device: ``cpu``, ``cuda``, ``cuda:1``, ...
        device_map: Auto spreads the weights over all CUDA devices instead; what those cannot hold
            stays in the host's memory or on disk, and is slow.
        max_memory: Bytes that weights may take of each device, by its number or ``cpu``, where
            they are spread; ``None``: what is free.
        dtype: Of weights that are not quantised, and of the arithmetic.
        vision_chunk: Pictures the vision tower takes at once.
        on_progress: Told how much of the weights is loaded, 0 to 1, on the thread that loads.
        is_packed: Whether linear layers on a CPU are laid out for its products; such a network
            can only compute.
        graph_rows: Rows of the largest batch whose decode steps are recorded as CUDA graphs; 0:
            none are. The weights stay where they are from then on.
    """

    quantization: Quantization = "none"
    double_quant: bool = True
    attention: Attention = "auto"
    device: str = "cpu"
    device_map: DeviceMap = "single"
    max_memory: Mapping[int | str, int] | None = None
    dtype: torch.dtype = torch.float32
    vision_chunk: int = 16
    on_progress: Listener = field(default=unheard, compare=False)
    is_packed: bool = False
    graph_rows: int = 0

    @property
    def scheme(self) -> Scheme:
        """How the language model's linear layers are held."""
        return Scheme(self.quantization, self.double_quant)


def attention_kernel(options: LoadOptions) -> str:
    """Transformers' name of the attention kernel that the options stand for.

    Where a GPU has to do without flash-attn, one line of the log says why.

    Raises:
        WeightsError: The kernel cannot run here, or gives wrong answers in this type.

    Source: LLAVA.md 4 (10) and 7.
    """
    attention = options.attention
    if attention == "eager" and options.dtype == torch.float16:
        raise WeightsError(
            "attention eager in float16 overflows with Qwen2 models, whose answers turn into "
            "'!!!!'; use dtype bfloat16, or attention sdpa"
        )
    obstacle = _flash_obstacle(options.device, options.dtype)
    if attention == "flash_attention_2" and obstacle:
        raise WeightsError(f"attention flash_attention_2 cannot run: {obstacle}; use sdpa or auto")
    if attention != "auto":
        return attention
    if obstacle and options.device.startswith("cuda"):
        logger.info("attention is sdpa, not flash-attn: %s", obstacle)
    return "sdpa" if obstacle else "flash_attention_2"


def _flash_obstacle(device: str, dtype: torch.dtype) -> str:
    """Why flash-attn cannot run; empty where it can."""
    if not device.startswith("cuda"):
        return f"it has kernels for CUDA alone, and the device is {device}"
    if dtype not in (torch.bfloat16, torch.float16):
        given = str(dtype).removeprefix("torch.")
        return f"it has kernels for bfloat16 and float16 alone, and the dtype is {given}"
    return "" if is_flash_attn_2_available() else "it is not installed"
