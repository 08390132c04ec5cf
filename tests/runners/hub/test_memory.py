"""What weights need, where they are, and weights that were quantised before: of every family."""

import shutil
from pathlib import Path

import pytest
import torch

from llava_custom import LoadOptions
from llava_custom.memory import measured_bytes
from llava_custom.placement import places
from llava_custom.quantization import Quantization
from runners.hub.model import HubModel
from runners.loading import load_model
from tests.runners.hub.greedy import embedded, logits_of
from tests.runners.hub.media import picture, user

QUESTION = user(picture(60, 40), "Please describe this image.")


def logits(model: HubModel) -> torch.Tensor:
    """After a prompt with a picture, and after two steps from there."""
    return torch.cat(logits_of(model, embedded(model, QUESTION), 99))


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_what_is_counted_is_what_a_loaded_network_holds(
    path: Path, quantization: Quantization
) -> None:
    loaded = load_model(str(path), LoadOptions(quantization=quantization))
    assert isinstance(loaded, HubModel)
    assert loaded.report.need.num_bytes == measured_bytes(loaded.network)


def test_a_network_in_two_places_computes_what_it_does_in_one(path: Path, model: HubModel) -> None:
    room: dict[int | str, int] = {"cpu": model.report.need.num_bytes * 7 // 10}
    spread = load_model(str(path), LoadOptions(device_map="auto", max_memory=room))
    assert isinstance(spread, HubModel)
    assert places(spread.network).keys() == {"cpu", "offloaded"}
    # Prompts of spread layers are read by transformers' code.
    torch.testing.assert_close(logits(spread), logits(model), rtol=0, atol=1e-5)


def test_weights_that_were_quantised_before_load_as_they_are(path: Path, tmp_path: Path) -> None:
    options, target = LoadOptions(quantization="nf4"), tmp_path / "quantised"
    at_once = load_model(str(path), options)
    assert isinstance(at_once, HubModel)
    shutil.copytree(path, target, ignore=shutil.ignore_patterns("*.safetensors"))
    at_once.network.save_pretrained(target)
    written = load_model(str(target), LoadOptions())
    assert isinstance(written, HubModel)
    assert written.report.need == at_once.report.need
    assert measured_bytes(written.network) == written.report.need.num_bytes
    torch.testing.assert_close(logits(written), logits(at_once), rtol=0, atol=1e-5)
