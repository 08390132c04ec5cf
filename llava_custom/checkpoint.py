"""The files of a checkpoint: where they are, what is in the JSON, which shapes the weights have.

Messages hold a checkpoint's name, not its path.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from contracts.errors import WeightsError
from llava_custom.config_fields import ConfigFields

CONFIG_PATTERNS = ("*config.json",)  # those of folders, too
FILE_PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
INDEX_NAME = "model.safetensors.index.json"
HUB_ERRORS = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError)

Shapes = Mapping[str, tuple[int, ...]]


def find_directory(path: str, patterns: Sequence[str] = FILE_PATTERNS) -> Path:
    """The checkpoint's directory; of a hub id the files are downloaded, or found in its cache.

    Raises:
        WeightsError: Neither a directory nor a hub id that can be read.
    """
    if Path(path).is_dir():
        return Path(path)
    try:
        return Path(snapshot_download(path, allow_patterns=list(patterns)))
    except HUB_ERRORS as exc:
        raise _not_found(path) from exc


def read_json(directory: Path, name: str) -> Mapping[str, object]:
    """The object in a JSON file of a checkpoint.

    Raises:
        WeightsError: The file is missing or holds no JSON object.
    """
    try:
        content = json.loads((directory / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{name} of the checkpoint cannot be read as JSON") from exc
    if not isinstance(content, dict):
        raise WeightsError(f"{name} of the checkpoint holds no JSON object")
    return content


def read_shapes(directory: Path, folder: str = "") -> Shapes:
    """The shape of every tensor in a folder of a checkpoint, by its name in the files.

    Args:
        directory: Of the checkpoint.
        folder: ``llm/`` or the like, where the checkpoint has several; names begin with it.

    Raises:
        WeightsError: A weight file is missing or damaged; names the file.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name in _weight_files(directory, folder):
        try:
            with safe_open(directory / name, "pt") as weights:
                for key in weights.keys():  # noqa: SIM118 - it is no mapping
                    shapes[folder + key] = tuple(weights.get_slice(key).get_shape())
        except (OSError, SafetensorError) as exc:
            raise WeightsError(f"weight file {name} is missing or damaged") from exc
    return shapes


def read_tensors(directory: Path, folder: str = "") -> dict[str, Tensor]:
    """Every tensor in a folder of a checkpoint, on the CPU; check ``read_shapes`` first."""
    tensors: dict[str, Tensor] = {}
    for name in _weight_files(directory, folder):
        tensors |= load_file(directory / name)
    return tensors


def generation_eos_ids(directory: Path, folder: str = "") -> frozenset[int]:
    """The tokens that end an answer, by generation_config.json; none where there is no such file.

    Raises:
        WeightsError: The file cannot be read.
    """
    name = f"{folder}generation_config.json"
    if not (directory / name).exists():
        return frozenset()
    return ConfigFields(read_json(directory, name)).token_ids("eos_token_id")


def _weight_files(directory: Path, folder: str) -> list[str]:
    index = folder + INDEX_NAME
    if not (directory / index).exists():
        return [f"{folder}model.safetensors"]
    weight_map = read_json(directory, index).get("weight_map")
    names = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise WeightsError(f"{index} has no weight_map from tensors to files")
    return sorted({folder + name for name in names})


def _not_found(path: str) -> WeightsError:
    name = path if path.count("/") == 1 and not path.startswith((".", "/")) else Path(path).name
    return WeightsError(f"checkpoint {name!r} is no directory, and the hub did not deliver it")
