"""The files of a checkpoint: where they are, what config.json says, which shapes the weights have.

Reads headers of weight files, never weights. Messages hold a checkpoint's name, not its path.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from contracts.errors import WeightsError
from llava_custom.llava_video_config import LlavaVideoConfig, parse_config

FILE_PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
INDEX_NAME = "model.safetensors.index.json"
HUB_ERRORS = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError)
TOWER_PREFIX = "model.vision_tower.vision_tower.vision_model."

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class VisionShape:
    """Sizes of the vision tower that only its tensors tell."""

    hidden_size: int
    intermediate_size: int
    num_layers: int


def read_config(path: str) -> LlavaVideoConfig:
    """Read and check config.json of a directory or hub id; a cheap test before loading.

    Raises:
        WeightsError: The checkpoint is not there, or is not one this program can run.
    """
    directory = Path(path)
    if directory.is_dir():
        return parse_config(read_json(directory / "config.json"))
    try:
        return parse_config(read_json(Path(hf_hub_download(path, "config.json"))))
    except HUB_ERRORS as exc:
        raise _not_found(path) from exc


def find_directory(path: str) -> Path:
    """The checkpoint's directory; a hub id is downloaded, or found in the hub's cache.

    Raises:
        WeightsError: Neither a directory nor a hub id that can be read.
    """
    if Path(path).is_dir():
        return Path(path)
    try:
        return Path(snapshot_download(path, allow_patterns=list(FILE_PATTERNS)))
    except HUB_ERRORS as exc:
        raise _not_found(path) from exc


def read_json(file: Path) -> Mapping[str, object]:
    """The object in a JSON file.

    Raises:
        WeightsError: The file is missing or holds no JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{file.name} of the checkpoint cannot be read as JSON") from exc
    if not isinstance(content, dict):
        raise WeightsError(f"{file.name} of the checkpoint holds no JSON object")
    return content


def read_shapes(directory: Path) -> Shapes:
    """The shape of every tensor, by its name in the checkpoint.

    Raises:
        WeightsError: A weight file is missing or damaged; names the file.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name in _weight_files(directory):
        try:
            with safe_open(directory / name, "pt") as weights:
                keys = list(weights.keys())
                shapes |= {key: tuple(weights.get_slice(key).get_shape()) for key in keys}
        except (OSError, SafetensorError) as exc:
            raise WeightsError(f"weight file {name} is missing or damaged") from exc
    return shapes


def vision_shape(shapes: Shapes, config: LlavaVideoConfig) -> VisionShape:
    """Sizes of the vision tower, checked against what config.json says of it.

    Raises:
        WeightsError: A tensor is missing, or its shape contradicts the config; names both.
    """
    patch = _shape(shapes, "embeddings.patch_embedding.weight", 4)
    positions = _shape(shapes, "embeddings.position_embedding.weight", 2)
    fc1 = _shape(shapes, "encoder.layers.0.mlp.fc1.weight", 2)
    side = config.patches_per_side
    if (patch[2], patch[3], positions[0]) != (config.patch_size_px, config.patch_size_px, side**2):
        raise WeightsError(
            f"mm_vision_tower says patches of {config.patch_size_px} px and {side} x {side} of "
            f"them; the weights have {patch[2]} x {patch[3]} px and {positions[0]} positions"
        )
    if patch[0] % config.num_vision_heads:
        raise WeightsError(
            f"mm_vision_num_attention_heads is {config.num_vision_heads}; it has to divide the "
            f"vision tower's hidden size {patch[0]}"
        )
    return VisionShape(patch[0], fc1[0], _num_layers(shapes))


def _num_layers(shapes: Shapes) -> int:
    layer = re.compile(re.escape(f"{TOWER_PREFIX}encoder.layers.") + r"(\d+)\.")
    return 1 + max(int(match[1]) for key in shapes if (match := layer.match(key)))


def _shape(shapes: Shapes, key: str, num_dims: int) -> tuple[int, ...]:
    name = TOWER_PREFIX + key
    if name not in shapes:
        raise WeightsError(f"the weights lack {name}")
    if len(shapes[name]) != num_dims:
        raise WeightsError(f"{name} has shape {shapes[name]}; expected {num_dims} dimensions")
    return shapes[name]


def _weight_files(directory: Path) -> list[str]:
    if not (directory / INDEX_NAME).exists():
        return ["model.safetensors"]
    weight_map = read_json(directory / INDEX_NAME).get("weight_map")
    names = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise WeightsError(f"{INDEX_NAME} has no weight_map from tensors to files")
    return sorted(set(names))


def _not_found(path: str) -> WeightsError:
    name = path if path.count("/") == 1 and not path.startswith((".", "/")) else Path(path).name
    return WeightsError(f"checkpoint {name!r} is no directory, and the hub did not deliver it")
