"""Checkpoints whose language model was quantised before: what their files hold.

They keep the original's layout and names; a quantised weight stands there with its scales, as
bitsandbytes writes them. ``quantize`` makes them.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from contracts.errors import WeightsError
from llava_custom.checkpoint import Shapes
from llava_custom.quantization import Scheme, quantised_layers, stored_tensors

KEY = "quantization_config"  # in config.json, as transformers writes it
NF4_STATE = "weight.quant_state.bitsandbytes__nf4"
INT8_FORMAT = "weight_format"


def stored_scheme(config: Mapping[str, object]) -> Scheme | None:
    """How the weights of a checkpoint are quantised; ``None`` where they are not.

    Raises:
        WeightsError: Not in a way that this program reads.
    """
    stored = config.get(KEY)
    if stored is None:
        return None
    settings = stored if isinstance(stored, dict) else {}
    if settings.get("quant_method") == "bitsandbytes":
        if settings.get("load_in_8bit"):
            return Scheme("int8")
        if settings.get("load_in_4bit") and settings.get("bnb_4bit_quant_type") == "nf4":
            return Scheme("nf4", double_quant=bool(settings.get("bnb_4bit_use_double_quant")))
    raise WeightsError(
        f"{KEY} has quant_method {settings.get('quant_method')!r}; supported are nf4 and int8 of "
        "bitsandbytes, as python -m llava_custom.quantize writes them"
    )


def settled_scheme(stored: Scheme | None, asked: Scheme) -> Scheme:
    """How the weights are held: as they are stored, or as asked where they are not quantised.

    Raises:
        WeightsError: The two contradict each other.
    """
    if stored is None:
        return asked
    if asked.quantization not in ("none", stored.quantization):
        raise WeightsError(
            f"quantization {asked.quantization} was asked for, and the checkpoint is stored in "
            f"{stored.quantization}; leave VLM_QUANTIZATION out, or take the original checkpoint"
        )
    return stored


def checkpoint_shapes(
    bare: nn.Module, name: Callable[[str], str], scheme: Scheme | None, found: Shapes
) -> Shapes:
    """The shapes that the tensors of a checkpoint have to have.

    Args:
        bare: The network's likeness on the meta device.
        name: The name in the checkpoint of one of its tensors.
        scheme: How the checkpoint's weights are quantised; ``None``: they are not.
        found: Of the files; one of bitsandbytes' tensors has no fixed shape.
    """
    shapes = {name(key): tuple(tensor.shape) for key, tensor in bare.state_dict().items()}
    if scheme is None:
        return shapes
    for layer, shape in quantised_layers(bare).items():
        weight = name(f"{layer}.weight")
        del shapes[weight]
        shapes |= _layer_shapes(weight.removesuffix("weight"), shape, scheme, found)
    return shapes


def _layer_shapes(prefix: str, shape: tuple[int, int], scheme: Scheme, found: Shapes) -> Shapes:
    stored = stored_tensors(shape, scheme)
    shapes = {f"{prefix}{part}": tensor.shape for part, tensor in stored.items()}
    if scheme.quantization == "int8":
        return shapes | {f"{prefix}{INT8_FORMAT}": ()}
    state = f"{prefix}{NF4_STATE}"
    return shapes | {state: found.get(state, (0,))}


def settle_dtype(network: nn.Module, dtype: torch.dtype) -> None:
    """Give every weight that is not quantised its type; transformers keeps the file's for some."""
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
