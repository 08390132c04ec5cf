"""The checkpoints this package reads, by the architecture that their config.json names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import WeightsError
from llava_custom.checkpoint import CONFIG_PATTERNS, find_directory, read_json
from llava_custom.llava_video_config import LlavaVideoConfig
from llava_custom.llava_video_loading import load_llava_video, read_llava_video_config
from llava_custom.llava_video_weights import original_name
from llava_custom.load_options import LoadOptions
from llava_custom.model import VisionLanguageModel
from llava_custom.vila_config import LLM, VilaConfig
from llava_custom.vila_loading import load_vila, read_vila_config


@dataclass(frozen=True, slots=True)
class QuantisedPart:
    """The part of a checkpoint that is stored anew when it is quantised.

    Attributes:
        folder: Of its files: empty, or a name with a slash.
        of: That part of a loaded model's network.
        name: The name in the files of one of its tensors.
    """

    folder: str
    of: Callable[[Any], Any]
    name: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Family:
    """How checkpoints of one architecture are read.

    Attributes:
        name: What their authors call them.
        read_config: Reads and checks the configuration in a directory.
        load: Loads everything.
        quantised_part: What is stored anew when it is quantised.
    """

    name: str
    read_config: Callable[[Path], LlavaVideoConfig | VilaConfig]
    load: Callable[[Path, LoadOptions], VisionLanguageModel]
    quantised_part: QuantisedPart


FAMILIES: Mapping[str, Family] = {
    "LlavaQwenForCausalLM": Family(
        "LLaVA-Video",
        read_llava_video_config,
        load_llava_video,
        QuantisedPart("", lambda network: network, original_name),
    ),
    "LlavaLlamaModel": Family(
        "VILA1.5",
        read_vila_config,
        load_vila,
        QuantisedPart(LLM, lambda network: network.language_model, str),
    ),
}


def knows(path: str) -> bool:
    """Whether a checkpoint's config.json names an architecture of ours; nothing else is checked.

    Args:
        path: A directory or hub id.

    Raises:
        WeightsError: There is no such checkpoint, or no config.json in it.
    """
    return _find(_architectures(find_directory(path, CONFIG_PATTERNS))) is not None


def read_config(path: str) -> LlavaVideoConfig | VilaConfig:
    """Read and check the configuration of a directory or hub id; a cheap test before loading.

    Raises:
        WeightsError: The checkpoint is not there, or is not one this program can run.
    """
    directory = find_directory(path, CONFIG_PATTERNS)
    return _family(directory).read_config(directory)


def load_checkpoint(path: str, options: LoadOptions) -> VisionLanguageModel:
    """Load a checkpoint in its original layout.

    Args:
        path: A directory, or a hub id whose files are downloaded or cached.
        options: Precision, device and kernels.

    Raises:
        WeightsError: The checkpoint cannot be run, does not fit its architecture (every tensor
            too many, too few or of a wrong shape is named), or an option cannot be met here.
    """
    directory = find_directory(path)
    model = _family(directory).load(directory, options)
    model.language.record_steps(options.graph_rows)
    return model


def quantised_part(directory: Path) -> QuantisedPart:
    """What of a checkpoint is stored anew when it is quantised.

    Raises:
        WeightsError: Its architecture is unknown.
    """
    return _family(directory).quantised_part


def _family(directory: Path) -> Family:
    architectures = _architectures(directory)
    family = _find(architectures)
    if family is None:
        known = ", ".join(f"{key} ({family.name})" for key, family in FAMILIES.items())
        raise WeightsError(
            f"architectures is {architectures!r}; expected one of {known}: "
            "take a checkpoint in the layout its authors published"
        )
    return family


def _architectures(directory: Path) -> object:
    return read_json(directory, "config.json").get("architectures")


def _find(architectures: object) -> Family | None:
    listed = architectures if isinstance(architectures, list) else []
    names = [name for name in listed if isinstance(name, str)]
    return next((FAMILIES[name] for name in names if name in FAMILIES), None)
