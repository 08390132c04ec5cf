"""bitsandbytes settings: the language model's linear layers alone are quantised."""

import importlib.util
import logging
from collections.abc import Mapping
from typing import Any, Literal

import torch

from contracts.errors import WeightsError

Quantization = Literal["none", "nf4", "int8"]

# transformers matches a name from the START of the dotted path: "vision_tower" alone would match
# nothing, in silence. A list given here replaces its own, so lm_head has to be in it.
KEPT_MODULES = ("model.vision_tower", "model.multi_modal_projector", "lm_head")


def quantization_config(
    quantization: Quantization, device: str, text: Mapping[str, object]
) -> Any | None:  # noqa: ANN401 - transformers is untyped here
    """The ``BitsAndBytesConfig`` of transformers, or ``None`` for weights as they are.

    Args:
        quantization: Precision of the language model's linear layers.
        device: Where they will run.
        text: Sizes of the language model, as ``Qwen2Config`` names them.

    Raises:
        WeightsError: bitsandbytes is missing, or cannot run these sizes on this device.

    Source: LLAVA.md 6; transformers 5.23 ``should_convert_module``.
    """
    if quantization == "none":
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise WeightsError(
            f"quantization {quantization} needs bitsandbytes; install it or use none"
        )
    from transformers import BitsAndBytesConfig

    kept = list(KEPT_MODULES)
    if quantization == "int8":
        # It warns of its own casts in every layer of every step.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    if device == "cpu":
        _check_cpu_sizes(text)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=kept,
    )


def _check_cpu_sizes(text: Mapping[str, object]) -> None:
    """Refuse layers that bitsandbytes cannot repack for CPUs with AVX512-BF16.

    They would fail in the first forward with a RuntimeError about a shape. LLAVA.md 6.3.
    """
    size = {key: value for key, value in text.items() if isinstance(value, int)}
    kv_width = size["hidden_size"] // size["num_attention_heads"] * size["num_key_value_heads"]
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
