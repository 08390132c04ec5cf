"""Reference vectors of the original codes, and the tiny checkpoints they were made with."""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
CHECKPOINT = GOLDEN / "llava_video_tiny"
VILA = GOLDEN / "vila_tiny"
VILA_FILES = (
    "config.json",
    "llm/config.json",
    "vision_tower/config.json",
    "vision_tower/preprocessor_config.json",
    "mm_projector/config.json",
)

Golden = Mapping[str, Tensor]
Changes = Mapping[str, object]
FileChanges = Mapping[str, Changes]
Load = Callable[[Changes, LoadOptions], VisionLanguageModel]


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Tensors of one case by name."""
    return lambda case: load_file(GOLDEN / f"llava_{case}.safetensors")


@pytest.fixture(scope="session")
def cases() -> Mapping[str, Any]:
    """The prompt and the counts of every case."""
    meta: Mapping[str, Any] = json.loads((GOLDEN / "llava_video_meta.json").read_text())
    return meta["cases"]  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, object]:
    config: dict[str, object] = json.loads((CHECKPOINT / "config.json").read_text())
    return config


@pytest.fixture
def copy_checkpoint(tmp_path: Path) -> Callable[[Changes], Path]:
    """A copy of the tiny checkpoint with other values in its config.json."""

    def copy(changes: Changes) -> Path:
        return copy_with(changes, tmp_path / "llava-tiny")

    return copy


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """The tiny checkpoint, loaded once for every way of loading it."""
    loaded: dict[str, VisionLanguageModel] = {}

    def get(changes: Changes, options: LoadOptions) -> VisionLanguageModel:
        key = repr((changes, options))
        if key not in loaded:
            directory = tmp_path_factory.mktemp("checkpoint") / "llava-tiny"
            path = copy_with(changes, directory) if changes else CHECKPOINT
            loaded[key] = load_checkpoint(str(path), options)
        return loaded[key]

    return get


@pytest.fixture(scope="session")
def model(load: Load) -> VisionLanguageModel:
    return load({}, LoadOptions())


def copy_with(changes: Changes, directory: Path) -> Path:
    shutil.copytree(CHECKPOINT, directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, **changes}))
    return directory


@pytest.fixture(scope="session")
def vila_golden() -> Callable[[str], Golden]:
    """Tensors of one case of VILA by name."""
    return lambda case: load_file(GOLDEN / f"vila_{case}.safetensors")


@pytest.fixture(scope="session")
def vila_cases() -> Mapping[str, Any]:
    """The prompt and the counts of every case of VILA."""
    meta: Mapping[str, Any] = json.loads((GOLDEN / "vila_meta.json").read_text())
    return meta["cases"]  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def vila_vectors() -> Mapping[str, list[int]]:
    """Texts with the ids of the original's tokenizer, the first one of the prompt included."""
    vectors = json.loads((GOLDEN / "vila_tokenizer_vectors.json").read_text())
    return vectors  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def vila_files() -> FileChanges:
    """The tiny VILA's configuration, by file."""
    return {name: json.loads((VILA / name).read_text()) for name in VILA_FILES}


@pytest.fixture
def copy_vila(tmp_path: Path) -> Callable[[FileChanges], Path]:
    """A copy of the tiny VILA with other values in its files."""

    def copy(changes: FileChanges) -> Path:
        directory = tmp_path / "vila-tiny"
        shutil.copytree(VILA, directory)
        for name, changed in changes.items():
            values = json.loads((directory / name).read_text())
            (directory / name).write_text(json.dumps({**values, **changed}))
        return directory

    return copy


@pytest.fixture(scope="session")
def load_vila() -> Callable[[LoadOptions], VisionLanguageModel]:
    """The tiny VILA, loaded once for every way of loading it."""
    return cache(lambda options: load_checkpoint(str(VILA), options))


@pytest.fixture(scope="session")
def vila(load_vila: Callable[[LoadOptions], VisionLanguageModel]) -> VisionLanguageModel:
    return load_vila(LoadOptions())
