from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llava_custom import LoadOptions
from runners.hub.model import HubModel
from runners.loading import load_model
from tests.runners.hub.families import FAMILIES, Family

CheckpointOf = Callable[[Family], Path]
LoadFamily = Callable[..., HubModel]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> CheckpointOf:
    """A family's tiny checkpoint, written once."""
    written: dict[str, Path] = {}

    def get(family: Family) -> Path:
        if family.name not in written:
            directory = tmp_path_factory.mktemp("hub") / f"tiny-{family.name}"
            written[family.name] = family.write(directory)
        return written[family.name]

    return get


@pytest.fixture(scope="session")
def load(checkpoint_of: CheckpointOf) -> LoadFamily:
    """A family's tiny checkpoint, loaded once for every way of loading it."""
    loaded: dict[tuple[str, LoadOptions], HubModel] = {}

    def get(family: Family, options: LoadOptions | None = None) -> HubModel:
        key = (family.name, options or LoadOptions())
        if key not in loaded:
            model = load_model(str(checkpoint_of(family)), key[1])
            assert isinstance(model, HubModel)
            loaded[key] = model
        return loaded[key]

    return get


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name, scope="module")
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture
def path(family: Family, checkpoint_of: CheckpointOf) -> Path:
    return checkpoint_of(family)


@pytest.fixture
def model(family: Family, load: LoadFamily) -> HubModel:
    return load(family)
