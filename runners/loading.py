"""Which package reads a checkpoint, by the architecture that its config.json names, and how."""

from pathlib import Path
from typing import Literal

import torch

from contracts.errors import WeightsError
from contracts.settings import Settings
from llava_custom import LoadOptions, knows, load_checkpoint, read_config
from llava_custom.checkpoint import CONFIG_PATTERNS, find_directory, read_json
from llava_custom.families import FAMILIES
from llava_custom.progress import Listener
from runners import hub
from runners.family import ModelFamily


def check_model(path: str) -> None:
    """A cheap test before loading.

    Args:
        path: A directory or hub id.

    Raises:
        WeightsError: The checkpoint is not there, or is none that this program can run.
    """
    if knows(path):
        read_config(path)
    else:
        _hub_architecture(find_directory(path, CONFIG_PATTERNS))


def load_model(path: str, options: LoadOptions) -> ModelFamily:
    """Load a checkpoint in its authors' original layout, or in transformers'.

    Raises:
        WeightsError: The checkpoint cannot be run, or does not fit its architecture.
    """
    if knows(path):
        return load_checkpoint(path, options)
    directory = find_directory(path)
    return hub.load_hub_checkpoint(directory, _hub_architecture(directory), options)


def load_options(settings: Settings, on_progress: Listener) -> LoadOptions:
    """The device and precision that ``auto`` stands for on this machine.

    Args:
        settings: What the operator chose.
        on_progress: Told how much of the weights is loaded, 0 to 1, on the thread that loads.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype: Literal["bfloat16", "float16", "float32", "auto"] = settings.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    return LoadOptions(
        quantization=settings.quantization,
        double_quant=settings.double_quant,
        attention=settings.attention,
        device=device,
        device_map=settings.device_map,
        dtype=getattr(torch, dtype),
        vision_chunk=settings.vision_chunk,
        is_packed=True,
        graph_rows=settings.max_batch if settings.cuda_graphs == "auto" else 0,
        on_progress=on_progress,
    )


def _hub_architecture(directory: Path) -> str:
    architectures = read_json(directory, "config.json").get("architectures")
    names = architectures if isinstance(architectures, list) else []
    for name in names:
        if name in hub.ARCHITECTURES:
            return str(name)
    known = ", ".join([*FAMILIES, *hub.ARCHITECTURES])
    raise WeightsError(f"architectures is {architectures!r}; expected one of {known}")
