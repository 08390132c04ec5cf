"""What VILA's weights need, where they are, and its language model quantised before."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from contracts.chat import ChatMessage, TextPart
from contracts.errors import WeightsError
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.documentation import vila_3b
from llava_custom.memory import GIB, count_memory, measured_bytes
from llava_custom.placement import places
from llava_custom.quantization import Quantization, Scheme
from llava_custom.quantize import quantize

bitsandbytes = pytest.importorskip("bitsandbytes")

Copy = Callable[[Mapping[str, Mapping[str, object]]], Path]

QUESTION = (ChatMessage("user", (TextPart("What is this?"),)),)


def logits(model: VisionLanguageModel) -> Tensor:
    """Of every position of a short prompt."""
    embedded = model.embed(model.plan(QUESTION), [])
    hidden = model.language.hidden_states(embedded.inputs_embeds, model.new_kv_cache())
    return model.language.logits(hidden)


def test_the_3b_needs_what_was_counted() -> None:
    need = count_memory(vila_3b(), Scheme("nf4"), torch.bfloat16)
    sizes = {(part.name, part.precision): part.num_bytes / GIB for part in need.parts}
    ends = sizes[("embeddings", "bfloat16")] + sizes[("head", "bfloat16")]
    assert sizes[("language model", "nf4")] + ends == pytest.approx(1.52, abs=0.005)
    assert sizes[("vision tower", "bfloat16")] == pytest.approx(0.74, abs=0.005)
    assert sizes[("projector", "bfloat16")] == pytest.approx(0.035, abs=0.001)
    assert need.kv_bytes_per_token == 320 * 1024


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_what_is_counted_is_what_a_loaded_network_holds(
    copy_vila: Copy, quantization: Quantization
) -> None:
    model = load_checkpoint(str(copy_vila({})), LoadOptions(quantization=quantization))
    assert model.report.need.num_bytes == measured_bytes(model.network)
    assert model.report.architecture == "LlavaLlamaModel"


def test_a_network_in_two_places_computes_what_it_does_in_one(
    copy_vila: Copy, vila: VisionLanguageModel
) -> None:
    options = LoadOptions(device_map="auto", max_memory={"cpu": 300_000})
    spread = load_checkpoint(str(copy_vila({})), options)
    assert places(spread.network).keys() == {"cpu", "offloaded"}
    torch.testing.assert_close(logits(spread), logits(vila), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("quantization", "class_name"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")]
)
def test_what_was_written_is_what_would_have_been_loaded(
    copy_vila: Copy, tmp_path: Path, quantization: Quantization, class_name: str
) -> None:
    source, target = copy_vila({}), tmp_path / "smaller"
    options = LoadOptions(quantization=quantization, dtype=torch.bfloat16)
    quantize(str(source), target, options)
    for folder in ("vision_tower", "mm_projector"):
        for file in (source / folder).iterdir():
            assert (target / folder / file.name).read_bytes() == file.read_bytes()
    at_once = load_checkpoint(str(source), options)
    written = load_checkpoint(str(target), LoadOptions(dtype=torch.bfloat16))
    layer_class = getattr(bitsandbytes.nn, class_name)
    quantised = [m for m in written.network.modules() if isinstance(m, layer_class)]
    assert len(quantised) == 7 * at_once.network.config.num_hidden_layers
    assert written.report.need == at_once.report.need
    torch.testing.assert_close(logits(written), logits(at_once), rtol=0, atol=0)
    with pytest.raises(WeightsError, match="quantised already"):
        quantize(str(target), tmp_path / "again", options)
