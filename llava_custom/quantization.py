"""bitsandbytes settings: the language model's linear layers alone are quantised."""

import importlib.util
from typing import Any, Literal

import torch

from contracts.errors import WeightsError

Quantization = Literal["none", "nf4", "int8"]

# transformers matches a name from the START of the dotted path: "vision_tower" alone would match
# nothing, in silence. A list given here replaces its own, so lm_head has to be in it.
KEPT_MODULES = ("model.vision_tower", "model.multi_modal_projector", "lm_head")


def quantization_config(quantization: Quantization, device: str) -> Any | None:  # noqa: ANN401
    """The ``BitsAndBytesConfig`` of transformers, or ``None`` for weights as they are.

    Raises:
        WeightsError: bitsandbytes is missing, or the device cannot run the precision.

    Source: LLAVA.md 6.1 and 6.2; transformers 5.23 ``should_convert_module``.
    """
    if quantization == "none":
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise WeightsError(
            f"quantization {quantization} needs bitsandbytes; install it or use none"
        )
    from transformers import BitsAndBytesConfig

    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(KEPT_MODULES))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=list(KEPT_MODULES),
    )
