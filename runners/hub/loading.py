"""Checkpoints in transformers' layout onto transformers' classes; what does not fit is refused."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from contracts.errors import WeightsError
from llava_custom import LoadOptions
from llava_custom.load_report import LoadReport
from llava_custom.network_loading import announce, loading, plan_weights
from llava_custom.prequantised import KEY as QUANTIZATION_KEY
from llava_custom.prequantised import stored_scheme
from runners.hub.architectures import ARCHITECTURES, Architecture
from runners.hub.checkpoint import Loaded, find_template, first_line, load_tokenizer
from runners.hub.model import HubModel

MAX_LISTED = 8
PROBLEMS = {
    "missing_keys": "missing",
    "unexpected_keys": "unexpected",
    "mismatched_keys": "of a wrong shape",
    "error_msgs": "not converted",
}


def load_hub_checkpoint(directory: Path, architecture: str, options: LoadOptions) -> HubModel:
    """Load a checkpoint in transformers' layout.

    Args:
        directory: Its files.
        architecture: One of ``ARCHITECTURES``.
        options: Precision, device and kernels.

    Raises:
        WeightsError: The checkpoint cannot be run, does not fit its architecture (every tensor
            too many, too few or of a wrong shape is named), or an option cannot be met here.
    """
    parts = ARCHITECTURES[architecture]
    config = _read_config(directory, parts)
    tokenizer = load_tokenizer(directory)
    network, report = _load_network(directory, parts, config, _with_masks(parts, options))
    loaded = Loaded(directory, network, tokenizer)
    decoder = parts.decoder(network, getattr(network.model, parts.decoder_name))
    decoder.record_steps(options.graph_rows)
    return HubModel(
        network=network,
        tokenizer=tokenizer,
        template=find_template(directory, tokenizer, parts.default_template),
        clip_template=parts.clip_template,
        vision=parts.vision(loaded),
        vision_chunk=options.vision_chunk,
        decoder=decoder,
        report=report,
    )


def _load_network(
    directory: Path,
    parts: Architecture,
    config: Any,  # noqa: ANN401 - transformers is untyped here
    options: LoadOptions,
) -> tuple[Any, LoadReport]:
    stored = stored_scheme({QUANTIZATION_KEY: getattr(config, QUANTIZATION_KEY, None)})
    with torch.device("meta"):
        bare = parts.network_class(config)
    text = config.get_text_config().to_dict()
    plan = plan_weights(bare, options, stored=stored, text=text, kept_modules=parts.kept_modules)
    announce(plan)
    try:
        with loading(bare, plan.progress):
            network, loaded = parts.network_class.from_pretrained(
                directory,
                config=config,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # to be told of all of them, not of the first
                **plan.arguments(),
            )
    except WeightsError:
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as exc:
        raise WeightsError(f"the weights cannot be loaded: {first_line(exc)}") from exc
    check_report(loaded)
    _check_quantised(network)
    return network, plan.finish(network, parts.network)


def _with_masks(parts: Architecture, options: LoadOptions) -> LoadOptions:
    """The options, without flash-attn where attention needs masks that it does not know."""
    if not parts.masks_pictures or options.attention in ("sdpa", "eager"):
        return options
    if options.attention == "flash_attention_2":
        raise WeightsError(
            f"{parts.network} masks its pictures, which flash-attn cannot; use sdpa or auto"
        )
    return replace(options, attention="sdpa")


def _read_config(directory: Path, parts: Architecture) -> Any:  # noqa: ANN401
    try:
        return parts.network_class.config_class.from_pretrained(directory)
    except Exception as exc:  # strict dataclasses raise their own kinds
        raise WeightsError(f"config.json is no {parts.network}: {first_line(exc)}") from exc


def check_report(report: Mapping[str, Any]) -> None:
    """Refuse what ``from_pretrained`` only reports.

    Raises:
        WeightsError: Names the tensors.
    """
    listed = [
        f"{problem}: {_listed(sorted(str(one) for one in report.get(key) or ()))}"
        for key, problem in PROBLEMS.items()
        if report.get(key)
    ]
    if listed:
        raise WeightsError(f"tensors do not match the architecture; {'; '.join(listed)}")


def _check_quantised(network: nn.Module) -> None:
    """Refuse quantised layers of a wrong shape: those are filled without a look at it."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            shape = tuple(getattr(layer.weight, "quant_state", layer.weight).shape)
            expected = (layer.out_features, layer.in_features)
            if shape != expected:
                raise WeightsError(f"{name} has shape {shape} instead of {expected}")


def _listed(names: list[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
