"""Which package reads a checkpoint, by the architecture that its config.json names."""

from pathlib import Path

from contracts.errors import WeightsError
from llava_custom import LoadOptions, knows, load_checkpoint, read_config
from llava_custom.checkpoint import CONFIG_PATTERNS, find_directory, read_json
from llava_custom.families import FAMILIES
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


def _hub_architecture(directory: Path) -> str:
    architectures = read_json(directory, "config.json").get("architectures")
    names = architectures if isinstance(architectures, list) else []
    for name in names:
        if name in hub.ARCHITECTURES:
            return str(name)
    known = ", ".join([*FAMILIES, *hub.ARCHITECTURES])
    raise WeightsError(f"architectures is {architectures!r}; expected one of {known}")
